from __future__ import annotations

import importlib.util
import os
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given

from harness.observation import ACCEPT, REJECT, Run, Trace
from harness.programs import strategies
from harness.replay.judge import judge_observation
from harness.targets import scratch
from harness.targets.registry import get_target
from harness.targets.shards.program import VOCABULARY, decode
from harness.targets.shards.target import Shards

S = VOCABULARY.step
SEEDS = Shards().seeds()


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Run:
    return Shards().open(safetensors)


def ours(trace: Trace) -> list[str]:
    return [event.outcome for event in trace.events if event.call == "safe_open"]


def test_seeds_are_in_order_but_those_that_say_so(run: Run):
    outcomes = {name: ours(run(program)[2]) for name, program in SEEDS.items()}
    assert {name for name, found in outcomes.items() if found == [ACCEPT, ACCEPT]} == {
        "in-order",
        "doubled",
        "unmapped",
        "linked",
    }
    assert [name for name, found in outcomes.items() if set(found) - {ACCEPT, REJECT}] == []


def test_each_reader_is_an_event(run: Run):
    calls = [(event.call, event.about) for event in run(SEEDS["in-order"])[2].events]
    assert calls[:2] == [("safe_open", "mmap"), ("safe_open", "pread")]
    hub = importlib.util.find_spec("huggingface_hub") is not None
    assert (("hub.metadata", "headers") in calls) == hub


def test_nothing_is_left_on_the_disk_or_open(run: Run):
    own = f"shards-{os.getpid():07d}-*"
    before = set(Path(scratch.place()).glob(own))
    opened = len(os.listdir("/proc/self/fd"))
    for program in SEEDS.values():
        run(program)
    assert set(Path(scratch.place()).glob(own)) == before == set()
    assert len(os.listdir("/proc/self/fd")) == opened


def test_most_mutated_folders_are_in_order(run: Run):
    target = Shards()
    seeds = list(SEEDS.values())
    mutate = target.mutator()
    made = [mutate(seeds[seed % len(seeds)], target.max_len, seed * 7919) for seed in range(400)]
    wrong = Counter(bool(decode(program).wrong) for program in made)
    assert wrong[False] > 150
    assert wrong[True] > 40


@given(data=strategies.programs(VOCABULARY))
def test_safe_open_gives_what_the_index_says_whatever_the_folder(run: Run, data: bytes):
    """What another implementation makes of the folder is not held here."""
    found = judge_observation(get_target("shards"), run, data, run(data))
    assert [one for one in found if not f"{one.rule.name} {one.aspect}".startswith(("hub.", "raise hub."))] == []


def test_features_tell_what_is_wrong_apart(run: Run):
    target = Shards()
    seen = {name: frozenset(target.features(run(program))) for name, program in SEEDS.items()}
    assert len(set(seen.values())) == len(seen)


def test_a_folder_is_explained():
    text = get_target("shards").explain(SEEDS["missing"])
    assert text is not None
    assert "# to be refused: shard: missing\n" in text
    assert 'read_sharded("model", safe_open, backend="mmap")\n' in text


def test_the_hub_s_readers_take_part_where_they_are_installed(run: Run):
    pytest.importorskip("huggingface_hub")
    trace = run(SEEDS["in-order"])[2]
    assert judge_observation(get_target("shards"), run, SEEDS["in-order"], run(SEEDS["in-order"])) == []
    assert "hub.metadata" in [event.call for event in trace.events]


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("shards|differential|hub.refused|hub.load", "huggingface_hub"),
        ("shards|contract|raise|hub.metadata: ZeroDivisionError: _", "huggingface_hub"),
        ("shards|contract|raise|safe_open: TypeError: _", ""),
        ("shards|differential|shards.safe_open|bytes", ""),
    ],
)
def test_what_is_about_another_implementation_is_told_apart(words: str, about: str):
    assert get_target("shards").about_another(words) == about
    assert get_target("slices").about_another(words) == ""
