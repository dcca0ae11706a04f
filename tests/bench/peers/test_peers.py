"""Every peer really fuzzes, and its findings are told to their bugs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from harness.bench.peers import builds, measure, native, ours, trial
from harness.bench.peers.builds import Builds
from harness.bench.peers.peer import EVERY, Peer, Session
from harness.bench.peers.properties import Hypothesis
from harness.bench.peers.upstream import Upstream
from harness.bench.range import bugs
from harness.errors import EngineError, HarnessError
from harness.mutate import OPERATORS, repair
from harness.parsers import fixes, registry, sources
from harness.parsers.registry import Parser
from harness.processes import started

BUGS = bugs.bugs()
EVERY_PEER = measure.every()


def quiet(_: str) -> None:
    pass


@pytest.fixture
def released(sancov_parser: Parser, wheel_parser: Parser) -> Builds:
    """The release without bugs, in place of the builds of the bench."""
    return Builds(sancov_parser, wheel_parser)


@pytest.fixture(scope="module")
def planted() -> Builds:
    return builds.builds(quiet)


def prepared(peer: Peer, of: Builds) -> Peer:
    if reason := peer.missing():
        pytest.skip(reason)
    peer.prepare(of, quiet)
    return peer


def test_the_counters_fit_the_source_beside_the_bugs(sancov_parser: Parser) -> None:
    change = builds.planted()
    path = sources.find(sancov_parser.source, "safetensors/src/tensor.rs")
    assert path is not None
    edits = [(change.name, edit) for edit in change.edits if edit.file.endswith("src/tensor.rs")]
    text = fixes.edited(path.read_text(encoding="utf-8"), edits, "tensor.rs")
    for number in (builds.CALLS, builds.DEEP):
        assert text.count(f"range::on({number}, false)") == 1


def test_the_surfaces_are_bugs() -> None:
    assert {bug.number for bug in BUGS} == EVERY
    for peer in EVERY_PEER.values():
        assert peer.bugs <= EVERY, peer.name


def test_the_script_installs_the_version_that_the_peer_needs() -> None:
    script = Path(__file__).parents[3] / ".ci" / "peers"
    assert re.findall(r"^cargo_afl=(.+)$", script.read_text(), re.MULTILINE) == [native.AFL]


def test_operators_that_are_off_are_those_that_repair() -> None:
    repairing = (repair.retype, repair.shift, repair.insert, repair.remove, repair.mend)

    def repairs(function: FunctionType, code: CodeType) -> bool:
        inner = (one for one in code.co_consts if isinstance(one, CodeType))
        return any(function.__globals__.get(name) in repairing for name in code.co_names) or any(
            repairs(function, one) for one in inner
        )

    functions = {name: one.apply for name, one in OPERATORS.items()}
    assert set(ours.REPAIRING) == {
        name for name, one in functions.items() if isinstance(one, FunctionType) and repairs(one, one.__code__)
    }
    assert {name for name in OPERATORS if name.startswith("cross.")} == set(ours.CROSSING)


@pytest.mark.parametrize("kind", [Upstream, Hypothesis])
def test_a_peer_in_python_fuzzes_the_release_and_finds_nothing(kind: type[Peer], released: Builds, place: Path) -> None:
    row = trial.run(trial.Plan("peer", 1, 1.5), prepared(kind(), released), released, BUGS, 0, quiet)
    assert row["cpu_seconds"] >= 1.5
    assert (row["sessions"], row["findings"], row["reached"]) == (1, 0, {})


def test_a_peer_that_dies_at_once_is_an_error_that_names_its_log(released: Builds, place: Path) -> None:
    class Broken(Upstream):
        def command(self, session: Session) -> list[str]:
            return [sys.executable, "-c", "raise SystemExit('no such option')"]

    with pytest.raises(EngineError, match="the peer python ended with 1 after .*\nno such option") as caught:
        trial.run(trial.Plan("python", 1, 5.0), prepared(Broken(), released), released, BUGS, 0, quiet)
    assert str(place / "trials" / "python-seed-1-budget-5" / "log") in caught.value.hint


def test_nothing_is_left_running_after_an_interrupt(
    released: Builds, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stubborn(Upstream):
        """It ignores the signal, and so does its child."""

        def command(self, session: Session) -> list[str]:
            child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
            parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True); {child}"
            return [sys.executable, "-c", parent]

    pids: list[int] = []

    def looked(pid: int) -> float:
        if len(found := trial._descendants(pid)) == 1:
            pids.extend([pid, *found])
            raise KeyboardInterrupt
        return 0.0

    monkeypatch.setattr(trial, "_FINISH_S", 0.1)
    monkeypatch.setattr(trial, "_END_S", 0.1)
    monkeypatch.setattr(trial, "family_cpu_seconds", looked)
    with pytest.raises(KeyboardInterrupt):
        trial.run(trial.Plan("python", 1, 5.0), prepared(Stubborn(), released), released, BUGS, 0, quiet)
    assert len(pids) == 2
    for pid in pids:
        for _ in range(1000):
            if not started(pid):
                break
            time.sleep(0.01)
        assert not started(pid)


def test_afl_is_left_out_where_it_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cargo = tmp_path / "cargo"
    cargo.write_text("#!/bin/sh\necho 'error: no such command: `afl`' >&2\nexit 101\n")
    cargo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert native.Afl().missing() == f"there is no cargo-afl {native.AFL}; .ci/peers installs it"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    cargo.write_text(f"#!/bin/sh\necho 'cargo-afl {native.AFL} (AFL++ version 4.40c)'\n")
    assert re.match(r"AFL\+\+ is not built for rustc .*: cargo afl config --build", native.Afl(tmp_path).missing())
    with pytest.raises(HarnessError, match="the peer afl cannot run: AFL"):
        measure.measure(["afl"], 1.0, 1, 1, quiet, libraries=tmp_path)


def test_the_peers_take_turns() -> None:
    told = [(plan.peer, plan.seed) for plan in measure.plans(["a", "b"], 1.0, 2, 7)]
    assert told == [("a", 7), ("b", 7), ("a", 8), ("b", 8)]


@pytest.mark.long
@pytest.mark.parametrize("name", EVERY_PEER)
def test_every_peer_reaches_bugs_and_triggers_none_beyond_its_surface(name: str, planted: Builds, place: Path) -> None:
    peer = prepared(EVERY_PEER[name], planted)
    row = trial.run(trial.Plan(name, 1, 20.0 if name.startswith("ours") else 6.0), peer, planted, BUGS, 0, quiet)
    assert row["reached"]
    assert set(map(int, row["triggered"])) <= peer.bugs
    assert set(row["detected"]) <= set(row["triggered"]) <= set(row["reached"])
    assert 0 < row["calls"] >= row["deep"]
    # Those that mutate bytes may need longer than this trial.
    assert row["deep"] or name in ("afl", "python", "libfuzzer", "bytes")
    assert subprocess.run(["pgrep", "-f", str(place)], capture_output=True, check=False).stdout == b""


@pytest.mark.long
def test_libfuzzer_detects_the_panic_and_goes_on_without_it(planted: Builds, place: Path) -> None:
    row = trial.run(trial.Plan("libfuzzer", 1, 20.0), prepared(native.LibFuzzer(), planted), planted, BUGS, 0, quiet)
    assert list(row["detected"]) == ["2"]
    assert row["sessions"] >= 2
    assert row["cpu_seconds"] == pytest.approx(20, abs=2)


def test_the_wheel_has_a_name_of_its_own() -> None:
    assert registry.default_name(builds.BUILD, "wheel") == "peers-wheel"
