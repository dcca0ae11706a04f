"""One session around the real parser: what is judged in full, when, and what libFuzzer is told of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from harness.engine.worker.fork_server import Remote
from harness.engine.worker.semantics import SemanticCounters
from harness.engine.worker.session import Session
from harness.engine.worker.slot import Slot, read
from harness.mutate import Rng, generate
from harness.observation import RAISE
from harness.replay.judge import death
from harness.targets.registry import get_target


class Intent:
    expect_valid = False


Execute = Callable[[bytes], None]


def doubled(data: bytes) -> bytes:
    """The file of two tensors with one name, which 0.8.0 accepts."""
    header = (
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    )
    return len(header).to_bytes(8, "little") + header + data


@pytest.fixture
def session(safetensors: ModuleType, tmp_path: Path) -> tuple[Session, Execute]:
    target = get_target("deserialize")
    found = Session(
        target,
        target.open(safetensors),
        SemanticCounters(),
        Slot(tmp_path / "slot", 8192),
        on_new=lambda _found: None,
        on_tick=lambda: None,
        on_defect=lambda error, _data: pytest.fail(repr(error)),
    )
    return found, found.executor(Intent())


def test_a_seed_is_judged_as_it_runs_and_pays_at_once(session: tuple[Session, Execute], tmp_path: Path) -> None:
    running, execute = session
    seed = generate(Rng(1))
    execute(seed)
    assert read(tmp_path / "slot")[0] == seed
    assert running.tally.judged == 1
    assert ("accepted", "") in running._counters.index
    assert not running.requeued


def test_a_session_that_was_stopped_passes_over_what_comes(session: tuple[Session, Execute]) -> None:
    running, execute = session
    execute(generate(Rng(1)))
    before = copy.deepcopy(running.tally.figures())
    running.stop()
    for seed in range(2, 600):
        execute(generate(Rng(seed)))
    assert running.tally.figures() == before
    assert before["executions"] == 1


def test_what_is_accepted_is_judged_together_and_all_of_it(session: tuple[Session, Execute]) -> None:
    running, execute = session
    running.at_once = False
    inputs = [generate(Rng(seed)) for seed in range(24)]
    for data in inputs[:-1]:
        execute(data)
    assert running.tally.judged == 0
    assert not running.due()
    execute(inputs[-1])
    assert running.due()
    running.judge_batch()
    assert running.tally.judged == running.tally.stages["accepted"] == 24
    assert not running.due()


def test_an_input_whose_judgement_is_new_runs_again_and_pays_then(session: tuple[Session, Execute]) -> None:
    running, execute = session
    running.at_once = False
    first, second = doubled(b"\0"), doubled(b"\1")
    key = ("header.duplicate-key", "tensor-name")
    execute(first)
    execute(second)
    running.judge_batch()
    assert running.requeued == [first]
    assert key not in running._counters.index
    running.at_once = True
    execute(running.requeued.pop())
    assert running._counters.table[running._counters.index[key]]
    (wrongly,) = running.tally.found.values()
    assert (wrongly.rule.name, wrongly.count) == ("header.duplicate-key", 3)


@pytest.mark.parametrize("fails", ["run", "store", "then"])
def test_what_fails_around_an_input_that_runs_apart_is_our_defect_and_the_campaign_goes_on(
    safetensors: ModuleType, tmp_path: Path, fails: str
) -> None:
    target = get_target("deserialize")
    defects: list[tuple[str, bytes]] = []

    def fail(name: str) -> None:
        if name == fails:
            raise OSError(28, name)

    running = Session(
        target,
        target.open(safetensors),
        SemanticCounters(),
        Slot(tmp_path / "slot", 8192),
        on_new=lambda _found: fail("store"),
        on_tick=lambda: None,
        on_defect=lambda error, data: defects.append((str(error), data)),
    )

    def remote(data: bytes) -> Remote:
        fail("run")
        finding = death(target, data, "crash", "SIGSEGV")
        return Remote("crash", "SIGSEGV", [finding], [("crash", "SIGSEGV")])

    running.run_forked(b"one", remote, lambda: fail("then"))
    assert defects == [(f"[Errno 28] {fails}", b"one")]
    running.run_forked(b"two", remote)
    assert running.tally.executions == 2
    assert len(defects) == (2 if fails == "run" else 1)


def test_without_the_judge_only_panics_and_undocumented_errors_are_findings(
    safetensors: ModuleType, tmp_path: Path
) -> None:
    told: list[str] = []
    target = get_target("deserialize")
    judging = Session(
        target,
        target.open(safetensors),
        SemanticCounters(),
        Slot(tmp_path / "slot", 8192),
        judge=False,
        on_new=lambda found: told.append(found.finding.kind),
        on_tick=lambda: None,
        on_defect=lambda error, _data: pytest.fail(repr(error)),
    )
    judging.executor(Intent())(doubled(b"x"))
    assert (told, judging.tally.judged) == ([], 0)
    judging._run = lambda _data: (RAISE, "OSError: no", None)
    judging.executor(Intent())(b"")
    assert told == ["contract"]
