"""The built wheel, away from the repository: an empty folder, nothing but what was installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import paths
from harness.parsers import build

ROOT = Path(__file__).parents[1]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", folder, ROOT], check=True)
    (built,) = folder.glob("safetensors_harness-*.whl")
    return built


@pytest.fixture(scope="module")
def away(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*pip, site, wheel], check=True)
    folder = tmp_path_factory.mktemp("empty")
    # The dependencies of the parser are compiled already, and who shares them shares the lock.
    cache = paths.build_dir() / "cache"
    build.build()
    (cache / "target").mkdir(exist_ok=True)
    (folder / "build/cache").mkdir(parents=True)
    for name in ("target", "lock"):
        (folder / "build/cache" / name).symlink_to(cache / name)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PYTHONPATH": str(site)}
        variables.pop("HARNESS_HOME", None)
        command = [sys.executable, "-m", "harness", *arguments]
        return subprocess.run(
            command, env=variables, cwd=folder, capture_output=True, text=True, check=False, timeout=400
        )

    return run


def test_the_wheel_brings_seeds_and_known_crashes(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("corpus", "crashes"):
        mine = {f"harness/_data/{p.relative_to(ROOT).as_posix()}" for p in (ROOT / folder).rglob("*") if p.is_file()}
        assert {name for name in mine - set(names) if "__pycache__" not in name} == set()
    assert "harness/parsers/build.py" in names


def test_everything_works_in_an_empty_folder(away: Run) -> None:
    doctor = away("doctor")
    assert doctor.returncode == 2
    assert "harness build" in doctor.stdout
    built = away("build")
    assert built.returncode == 0, built.stderr
    assert away("build", "--wheel").returncode == 0
    doctor = away("doctor", "--json")
    assert doctor.returncode == 0, doctor.stdout
    fuzzed = away("fuzz", "--target", "deserialize", "--runs", "3000", "--no-ui", "--json")
    assert fuzzed.returncode in (0, 1)
    assert "Traceback" not in fuzzed.stderr
    session = json.loads(fuzzed.stdout)
    assert session["per_target"]["deserialize"]["executions"] >= 3000
    assert session["seeds"]["deserialize"] > 0
    seed = next(path for path in sorted((ROOT / "corpus/deserialize").iterdir()) if len(path.name) == 40)
    checked = away("check", str(seed), "--json")
    assert checked.returncode in (0, 1), checked.stderr
    (answer,) = json.loads(checked.stdout)
    assert {"0.8.0", "0.8.0-wheel"} <= set(answer["parsers"])
    assert answer["spec"]["verdict"] in ("accept", "reject", "unspecified")
