"""A real campaign of a second, what it found and three filed findings, as one page; and a browser to open it with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.report import html
from harness.triage import crashes, store

ROOT = Path(__file__).parents[2]

#: What a name in a hostile file may hold: markup, quotes, the end of our own script, a direction mark, a lone surrogate, NUL.
HOSTILE = (
    "</script><script>window.owned=1</script><img src=x onerror='window.owned=1'>\"'`{{7*7}}{% raw %}"
    "\u202egnp.exe\u2066\x00\x1b[31m\ud800 \udfff\u05d0\u05d1 end"
)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the builds and seeds of this one, three of its filed findings and a campaign of two targets."""
    home = tmp_path_factory.mktemp("home")
    (home / "build").mkdir()
    (home / "build" / "parsers").symlink_to(ROOT / "build" / "parsers")
    for target in ("deserialize", "slices"):
        (home / "corpus" / target).mkdir(parents=True)
        for seed in sorted((ROOT / "corpus" / target).iterdir())[:20]:
            shutil.copy(seed, home / "corpus" / target)
    wanted = {"header.padding", "header.duplicate-key", "panic"}
    for crash in crashes.crashes():
        if crash.rule in wanted:
            wanted.remove(crash.rule)
            shutil.copytree(crash.folder, home / "crashes" / crash.id)
    arguments = [
        "--target",
        "deserialize",
        "--target",
        "slices",
        "--runs",
        "500",
        "--campaign",
        "build/campaigns/night",
    ]
    fuzzed = subprocess.run(
        [sys.executable, "-m", "harness", "fuzz", "--no-ui", *arguments],
        env=os.environ | {"HARNESS_HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert fuzzed.returncode == 1, fuzzed.stderr
    store.add_finding(
        home / "build/campaigns/night",
        id="hostile-12345678",
        target="slices",
        oracle="numpy",
        kind="contract",
        rule="</td>" + HOSTILE,
        aspect=HOSTILE,
        signature="slices|contract|</td>|" + "x" + HOSTILE.replace("|", ""),
        summary=HOSTILE,
        data=b"\x00hostile\xff",
        parser="0.8.0",
        seed=7,
        execution=1,
        seconds=0.5,
    )
    return home


@pytest.fixture(scope="session")
def campaign(home: Path) -> Path:
    """The campaign's folder."""
    return home / "build" / "campaigns" / "night"


@pytest.fixture(scope="session")
def page(home: Path, campaign: Path) -> Path:
    """The report, written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_HOME", str(home))
        return html.write(home / "report", [campaign], price=0.5)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Debian's Chromium, without network."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the package playwright is not installed (extra dev)"
    )
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium here: apt-get install chromium")
    arguments = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    arguments += ["--disable-component-update", "--disable-sync", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()
