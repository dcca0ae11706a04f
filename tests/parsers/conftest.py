"""Real builds, shared: those of the repository where nothing is spoilt, else a home of its own with a warm cargo."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import paths
from harness.parsers import build, compilation, registry, sources
from harness.parsers.registry import Parser
from tests.waiting import LONG

Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def sancov() -> Parser:
    return build.build()


@pytest.fixture(scope="session")
def wheel() -> Parser:
    return build.build(flavour="wheel")


@pytest.fixture(scope="session")
def sdist(sancov: Parser) -> Path:
    cache = paths.build_dir() / "cache"
    log = cache / "logs" / "tests.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return sources.download(registry.default_release(), cache / "sdists", compilation.environment(), log, print)


@pytest.fixture
def checkout(sdist: Path, tmp_path: Path) -> Path:
    """A copy of the source, laid out like the sdist, to be changed at will."""
    sources.unpack(sdist, tmp_path / "checkout")
    return tmp_path / "checkout"


@pytest.fixture(scope="session")
def warm_home(tmp_path_factory: pytest.TempPathFactory, sancov: Parser) -> Path:
    """A project of our own whose cargo has compiled the dependencies already."""
    warm = paths.build_dir() / "cache" / "target"
    warm.mkdir(parents=True, exist_ok=True)
    home = tmp_path_factory.mktemp("home")
    (home / "build" / "cache").mkdir(parents=True)
    (home / "build" / "cache" / "target").symlink_to(warm)
    # Who shares cargo's folder must share the lock.
    (home / "build" / "cache" / "lock").symlink_to(warm.parent / "lock")
    return home


@pytest.fixture
def home(warm_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That project; tests share it, so that what does not change is compiled once."""
    monkeypatch.setenv("HARNESS_HOME", str(warm_home))
    return warm_home


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which nothing was built; wheels are cheap to put there."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "empty"))
    return tmp_path / "empty"


@pytest.fixture(scope="session")
def python() -> Python:
    """Run a program text in a Python of its own, since a process can load one parser only."""

    def run(
        program: str, *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **(env or {})}
        variables.setdefault("HARNESS_HOME", str(paths.home()))
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.run(
            command, env=variables, cwd=cwd, capture_output=True, text=True, check=False, timeout=LONG
        )

    return run
