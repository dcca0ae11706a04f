"""The parsers under test. ``make test`` builds both; a test that needs one that is missing fails and says how to build it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

from harness.parsers import registry, runtime
from harness.parsers.registry import Parser
from harness.targets import scratch

# A busy machine is slow: no test here says how fast anything is.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked long run at night."""
    for item in items if not os.environ.get("HARNESS_LONG") else ():
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: HARNESS_LONG=1 runs it, as the nightly workflow does"))


@pytest.fixture(scope="session", autouse=True)
def _memory() -> Iterator[None]:
    """What targets keep in memory goes with the session: a worker of pytest-xdist ends without leave of its own to tidy up."""
    folder = tempfile.mkdtemp(prefix="harness-tests-", dir=scratch.root())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(scratch.VARIABLE, folder)
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def wheel_parser() -> Parser:
    """The plain release, as users have it."""
    return registry.find(None, flavour="wheel")


@pytest.fixture(scope="session")
def sancov_parser() -> Parser:
    """The instrumented build; it needs a process of its own."""
    return registry.find(None, flavour="sancov")


@pytest.fixture(scope="session")
def safetensors(wheel_parser: Parser) -> ModuleType:
    """The plain release, loaded into this process: the one build that pytest itself may load."""
    return runtime.load(wheel_parser)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sancov_parser: Parser, wheel_parser: Parser) -> Path:
    """A project of its own in an empty folder, the current one too: both builds of the newest release, nothing filed."""
    home = tmp_path / "project"
    for name in ("build/parsers", "crashes", "corpus"):
        (home / name).mkdir(parents=True)
    for parser in (sancov_parser, wheel_parser):
        (home / "build" / "parsers" / parser.name).symlink_to(parser.root)
    monkeypatch.setenv("HARNESS_HOME", str(home))
    monkeypatch.chdir(home)
    return home
