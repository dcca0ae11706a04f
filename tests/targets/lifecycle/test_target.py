from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from harness.observation import ACCEPT, REJECT, Event, Run, Trace
from harness.oracles.oracle import Execution
from harness.programs import progress
from harness.programs.steps import Step
from harness.replay.judge import judge_observation
from harness.targets import scratch
from harness.targets.lifecycle import kit, oracle
from harness.targets.lifecycle.program import VOCABULARY, decode
from harness.targets.lifecycle.target import Lifecycle

step = VOCABULARY.step
TARGET = Lifecycle()


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Run:
    return TARGET.open(safetensors)


def events(run: Run, *steps: Step) -> list[Event]:
    data = VOCABULARY.encode(steps)
    assert not TARGET.hazard(data)
    observation = run(data)
    assert isinstance(observation[2], Trace)
    assert not oracle.check(Execution(data, observation))
    return observation[2].events


def test_every_kind_of_call_is_made_by_some_seed() -> None:
    steps = {number.kind for data in TARGET.seeds().values() for number in VOCABULARY.decode(data)}
    assert steps == set(range(len(VOCABULARY.kinds)))


@pytest.mark.parametrize("name", TARGET.seeds())
def test_seeds_run_to_their_end_as_the_model_says(run: Run, name: str) -> None:
    data = TARGET.seeds()[name]
    observation = run(data)
    assert len(observation[2].events) == len(TARGET.call_names(data))
    assert not oracle.check(Execution(data, observation))


def test_a_closed_handle_refuses_and_what_was_kept_stays(run: Run) -> None:
    story = events(
        run, step("open"), step("get_tensor"), step("get_slice"), step("exit"), step("get_tensor"), step("array"), step("read")
    )  # fmt: skip
    assert [event.outcome for event in story] == [ACCEPT, ACCEPT, ACCEPT, ACCEPT, REJECT, ACCEPT, ACCEPT]
    assert "File is closed" in story[4].error


@pytest.mark.parametrize("backend", [0, 1])
def test_a_handle_reads_the_file_it_opened_wherever_its_name_has_gone(run: Run, backend: int) -> None:
    for move in (step("unlink"), step("replace", 1, 0), step("save", 0, 3)):
        *_, last = events(run, step("open", 0, 0, backend), move, step("get_tensor"))
        assert kit.same(last.value, kit.CONTENTS[0]["a"])


def test_what_was_overwritten_in_place_may_read_as_anything(run: Run) -> None:
    story = events(run, step("open"), step("poke"), step("get_tensor"), step("open", 1), step("get_tensor", 1))
    assert [event.about.end for event in story] == ["value", "value", "any", "value", "any"]


def test_a_file_cut_under_a_mapping_is_a_hazard_and_under_pread_a_refusal(run: Run) -> None:
    cut = VOCABULARY.encode([step("open"), step("cut"), step("get_tensor")])
    assert TARGET.hazard(cut) == "SIGBUS/get_tensor"
    *_, last = events(run, step("open", 0, 0, 1), step("cut"), step("get_tensor"))
    assert last.outcome == REJECT
    # Within the last page of a mapping there are zeros instead of a signal: no hazard, but not what the file held.
    half = VOCABULARY.encode([step("open"), step("cut", 0, 2), step("get_tensor")])
    assert not TARGET.hazard(half)
    assert decode(half).calls[-1].end == "refused"


@pytest.mark.parametrize(("kind", "last"), [("get_tensor", step("get_tensor")), ("misuse", step("misuse", 17, 1))])
def test_the_hazard_is_real(safetensors: ModuleType, tmp_path: Path, kind: str, last: Step) -> None:
    """The model says SIGBUS; the process dies of it."""
    data = VOCABULARY.encode([step("open"), step("get_slice"), step("cut"), last])
    assert TARGET.hazard(data) == f"SIGBUS/{kind}"
    script = (
        "import sys, safetensors\nfrom harness.targets.lifecycle.target import Lifecycle\n"
        "run = Lifecycle().open(safetensors)\nrun(bytes.fromhex(sys.argv[1]))\n"
    )
    path = os.pathsep.join([str(Path(str(safetensors.__file__)).parents[1]), str(Path(__file__).parents[3])])
    environment = os.environ | {"PYTHONPATH": path, scratch.VARIABLE: str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script, data.hex()], env=environment, capture_output=True, check=False)
    assert done.returncode == -7, done.stderr


def test_two_threads_and_a_forked_child_get_what_one_would(run: Run) -> None:
    for first in range(4):
        for second in range(4):
            *_, last = events(run, step("open"), step("threads", 0, first, second))
            assert last.value == []
        story = events(run, step("open"), step("fork", 0, first), step("get_tensor"))
        # The child has a handle of its own: closing it there closes nothing here.
        assert story[-1].outcome == ACCEPT


def test_the_number_of_the_call_stands_in_the_cell(safetensors: ModuleType) -> None:
    cell = memoryview(bytearray(1))
    before = progress.cell()
    progress.use(cell)
    try:
        run = TARGET.open(safetensors)
    finally:
        progress.use(before)
    run(VOCABULARY.encode([step("open"), step("get_tensor"), step("exit")]))
    assert cell[0] == 3


def test_mutated_programs_show_only_what_is_filed_or_known_to_be_wrong(run: Run) -> None:
    draw = random.Random(5)
    corpus = list(TARGET.seeds().values())
    mutate = TARGET.mutator()
    seen: set[str] = set()
    ran = 0
    for number in range(400):
        data = mutate(draw.choice(corpus), TARGET.max_len, number + 1)
        if TARGET.hazard(data):
            continue
        ran += 1
        seen |= {f"{found.rule.name}|{found.aspect}" for found in judge_observation(TARGET, run, data, run(data))}
    assert ran > 350
    # Every finding of a call that is not the opening of a path without a file would be a model gone wrong, or a new defect.
    assert {name for name in seen if not name.startswith("lifecycle.open")} <= {
        "lifecycle.cut|mmap:given",
        "lifecycle.open_file|elsewhere:misread",
    }


RACES = """
import sys
from harness.engine.worker.native import NativeCounters
from harness.parsers import registry, runtime
from harness.programs import chance
from harness.targets.lifecycle.program import VOCABULARY
from harness.targets.lifecycle.target import Lifecycle
parser = registry.find(None, flavour="sancov")
run, counters = Lifecycle().open(runtime.load(parser)), NativeCounters(parser.module)
chance.use(counters.view)
step = VOCABULARY.step
data = VOCABULARY.encode([step("open"), step("threads", 0, 2, 0), step("open", 1), step("get_tensor", 1)])
sys.setswitchinterval(1e-6)
seen = []
for _ in range(400):
    counters.clear()
    run(data)
    seen.append(bytes(counters.view))
# The first run imports numpy.
assert len(set(seen[1:])) == 1, len(set(seen))
"""


def test_threads_that_race_change_no_counter(sancov_parser: object) -> None:
    done = subprocess.run([sys.executable, "-c", RACES], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
