"""The parsers under test. ``make test`` builds both; a test that needs one that is missing fails and says how to build it."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

from harness.parsers import build, registry, runtime, toolchain
from harness.parsers.crate_api import extension
from harness.parsers.registry import Parser
from harness.targets import registry as _targets  # noqa: F401 - they define the rules of stored findings
from harness.targets import scratch

# A busy machine is slow: no test here says how fast anything is. Examples of earlier runs are not drawn again.
# `settings` of a test that name health checks replace those named here.
_SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
settings.register_profile("fixed", _SLOW, derandomize=True)
settings.register_profile("seeded", _SLOW, derandomize=False, print_blob=True)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Property tests draw the same examples in each run; at night, or with a seed, they draw others.

    Workers of pytest-xdist are given the option, and so the seed.
    """
    seed = config.option.hypothesis_seed or os.environ.get("HARNESS_HYPOTHESIS_SEED")
    if seed is None and os.environ.get("HARNESS_LONG"):
        seed = str(secrets.randbelow(1 << 32))
    config.option.hypothesis_seed = seed
    settings.load_profile("fixed" if seed is None else "seeded")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Print the seed, with -q too: pytest leaves its header out there."""
    seed = session.config.option.hypothesis_seed
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if seed is not None and reporter is not None:
        reporter.write_line(f"property tests: seed {seed}; HARNESS_HYPOTHESIS_SEED={seed} draws the same examples")


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
def coverage_parser() -> Parser:
    """Built here when it is missing (seconds, once): few tests need it."""
    built = registry.read(registry.default_name(registry.default_release(), "coverage"))
    if built is None or not extension.there(built):
        build.build(flavour="coverage", progress=lambda line: None)
    return registry.find(None, flavour="coverage")


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


@pytest.fixture
def other_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[toolchain.Compiler]:
    """The present compiler, by a wrapper that says it is another one, of LLVM 77. No tool on any machine reads that."""
    rustc = tmp_path / "other" / "rustc"
    rustc.parent.mkdir()
    said = "release: 1.90.0\nhost: x86_64-unknown-linux-gnu\ncommit-hash: abc\nLLVM version: 77.1.2"
    rustc.write_text(f'#!/bin/sh\nif [ "$1" = -vV ]; then echo \'{said}\'; else exec rustc "$@"; fi\n')
    rustc.chmod(0o755)
    monkeypatch.setenv("RUSTC", str(rustc))
    toolchain.compiler.cache_clear()
    yield toolchain.compiler()
    toolchain.compiler.cache_clear()
