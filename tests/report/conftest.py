"""A real campaign, made once, and one whose texts are as hostile as an input can make them; the HTML page, and a browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.findings import crashes, store
from harness.findings.finding import Finding
from harness.findings.signature import finding_id
from harness.parsers.registry import Parser
from harness.report import gather, html
from harness.report.gather import Campaign
from tests.findings.test_defects import RECORD

#: What a summary can hold of an input: markup of every kind, control characters, half of a surrogate pair.
HOSTILE = "a|b `c` </script><script>alert(1)</script>\n\r| x |\n\n# no\x00\x1b[31m\x85\u2028\ud800\ufffe\u202e @all #1 ]]> --> ``` $x$"
HOSTILE_SIGNATURE = "deserialize|differential|layout.hole|accepted/start"


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, sancov_parser: Parser, wheel_parser: Parser) -> Path:
    """The folder of a campaign of the instrumented parser in a project where nothing is filed, so that all is new."""
    home = tmp_path_factory.mktemp("reported")
    for name in ("build/parsers", "crashes", "corpus"):
        (home / name).mkdir(parents=True)
    for parser in (sancov_parser, wheel_parser):
        (home / "build" / "parsers" / parser.name).symlink_to(parser.root)
    folder = home / "build" / "campaigns" / "real"
    arguments = ["--target", "deserialize", "--runs", "60000", "--workers", "1", "--empty-corpus", "--no-ui"]
    done = subprocess.run(
        [sys.executable, "-m", "harness", "fuzz", *arguments, "--campaign", folder],
        env=os.environ | {"HARNESS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return folder


@pytest.fixture
def campaign(real: Path, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """The real campaign, in its own project."""
    monkeypatch.setenv("HARNESS_HOME", str(real.parents[2]))
    return gather.campaign(real)


@pytest.fixture
def hostile(project: Path) -> Campaign:
    """A campaign whose ledger, target and finding are full of what breaks a page."""
    folder = project / "build" / "campaigns" / "hostile"
    hole = Finding.of_signature(HOSTILE_SIGNATURE, "differential", HOSTILE)
    store.add(folder, hole, b"{" * 40, parser="0.8.0", seed=1, execution=1)
    session = {
        "started": "2026-01-01T00:00:00+00:00",
        "targets": ["deserialize", HOSTILE],
        "seconds": 60.0,
        "cpu_seconds": 58.0,
        "executions": 1000,
        "parser": HOSTILE,
        "per_target": {
            "deserialize": {
                "executions": 1000,
                "deep": 600,
                "seconds": 60.0,
                "edges": 90,
                "defects": 2,
                "curve": [
                    {"seconds": 10, "executions": 100, "edges": 50},
                    {"seconds": 60, "executions": 1000, "edges": 90},
                ],
            }
        },
        "left_out": {HOSTILE: HOSTILE},
        "not_installed": {f"not {HOSTILE}": HOSTILE},
        "lacks": [HOSTILE],
    }
    (folder / "campaign.json").write_text(json.dumps({"format": 1, "sessions": [session]}))
    return gather.campaign(folder)


HOSTILE_ID = finding_id(HOSTILE_SIGNATURE)
#: Its markup would run here, were it markup; the rest as above.
SCRIPTED = "</td><img src=x onerror='window.owned=1'>\"{{7*7}}" + HOSTILE.replace("alert(1)", "window.owned=1")


@pytest.fixture(scope="session")
def home(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the real campaign, some of whose findings are filed there, and one finding of hostile text."""
    home = tmp_path_factory.mktemp("home")
    night = home / "build" / "campaigns" / "night"
    shutil.copytree(real, night)
    (home / "build" / "parsers").symlink_to(real.parents[1] / "parsers")
    met = {stored.id for stored in store.findings(night)}
    filed = [crash for crash in crashes.crashes() if crash.status == crashes.OPEN]
    again = [crash for crash in filed if crash.id in met][:2]
    others = [crash for crash in filed if crash.id not in met][:30]
    for crash in [*again, *others]:
        shutil.copytree(crash.folder, home / "crashes" / crash.id)
    (home / "crashes" / "defects").mkdir()
    for name, members in (("met-again", [*again, others[0]]), ("not-met", others[1:4])):
        text = RECORD.replace("{finding}", '", "'.join(crash.id for crash in members)).replace("0.8.0", "0.5.3")
        (home / "crashes" / "defects" / f"{name}.toml").write_text(text.replace("save writes", f"<b> {name} `writes`"))
    hole = Finding.of_signature(HOSTILE_SIGNATURE, "differential", SCRIPTED)
    store.add(night, hole, b"\0hostile\xff", parser="0.8.0", seed=7, execution=1, seconds=0.5)
    return home


@pytest.fixture
def night(home: Path, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """The campaign of that project, which is the current one."""
    monkeypatch.setenv("HARNESS_HOME", str(home))
    return gather.campaign(home / "build" / "campaigns" / "night")


@pytest.fixture(scope="session")
def page(home: Path) -> Path:
    """The report of that campaign, written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_HOME", str(home))
        return html.write(home / "report", [gather.campaign(home / "build" / "campaigns" / "night")], price=0.5)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Debian's Chromium, kept from the network."""
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
