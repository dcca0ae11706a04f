from __future__ import annotations

import importlib
import importlib.util
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings

from harness.observation import ACCEPT, RAISE, REJECT, Observation, Run, Trace
from harness.programs import strategies
from harness.programs.saving import NAMES
from harness.replay.judge import judge_observation
from harness.targets.registry import get_target
from harness.targets.torch_writers.program import MODELS, VOCABULARY, decode
from harness.targets.torch_writers.tensors import DTYPES, FORMS, LAYOUT_NUMBERS, ODD_DTYPES, VIEWS

S = VOCABULARY.step
L = LAYOUT_NUMBERS
V = {one[0]: number for number, one in enumerate(VIEWS)}
pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
#: What is filed of every answer of load_model.
ANSWER = "torch_writers|roundtrip|torch.answer|types: ('set', 'list')"


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Run:
    return get_target("torch_writers").open(safetensors)


def events(observation: Observation) -> list[tuple[str, str]]:
    assert isinstance(observation[2], Trace)
    return [(event.call, event.outcome) for event in observation[2].events]


def signatures(run: Run, *steps) -> set[str]:
    program, target = VOCABULARY.encode(steps), get_target("torch_writers")
    return {one.signature for one in judge_observation(target, run, program, run(program))}


def test_seeds_have_every_kind_of_call_and_none_fails_otherwise_than_announced(run: Run):
    target = get_target("torch_writers")
    seeds = target.seeds().values()
    assert {run(program)[0] for program in seeds} == {ACCEPT, REJECT}
    calls = {call for program in seeds for call in target.call_names(program) or ()}
    assert calls == {kind.name for kind in VOCABULARY.kinds[VOCABULARY.number["save"] :]}


def test_what_tensors_torch_has_is_written_and_read(run: Run):
    for number, dtype in enumerate(DTYPES[:ODD_DTYPES]):
        outcome, _, trace = run(VOCABULARY.encode([S("tensor", number, 3), S("save"), S("load_file")]))
        assert (outcome, len(trace.events)) == (ACCEPT, 2), dtype


def test_tied_weights_are_saved_once_and_load_onto_tied_weights(run: Run):
    steps = [S("tensor", 0, 3), S("form", 1), S("view"), S("save_model"), S("load_model"), S("load_model", 0, 0, 1)]
    assert events(run(VOCABULARY.encode(steps))) == [
        ("save_model", ACCEPT),
        ("load_model", ACCEPT),
        ("load_model", ACCEPT),
    ]
    assert signatures(run, *steps) == {ANSWER}


@pytest.mark.parametrize("model", range(len(MODELS)))
def test_a_module_with_one_of_two_equal_names_is_not_held_against_the_file(run: Run, model: int):
    """Torch turns a file's one element into a scalar, and its dtype into that of the module."""
    same = S("name", NAMES.index("'a'"))
    steps = [S("tensor", 2, 1), same, S("tensor", 0, 2), same, S("save_model"), S("load_model", model, 1)]
    assert signatures(run, *steps) <= {ANSWER}


def test_a_pair_without_a_dimension_is_left_out_where_another_name_is_kept(run: Run):
    """Which of the two is kept is a matter of their names; a file can hold one of them alone."""
    pair, flat = S("tensor", DTYPES.index("float4_e2m1fn_x2"), 1), S("view", 0, V["flat"])
    first, second = S("name", NAMES.index("'a'")), S("name", NAMES.index("'b'"))
    kept = [pair, second, flat, first, S("save_model")]
    assert events(run(VOCABULARY.encode(kept))) == [("save_model", ACCEPT)]
    assert signatures(run, *kept) == set()
    lost = [pair, first, flat, second, S("save_model")]
    assert run(VOCABULARY.encode(lost))[0] == REJECT
    assert signatures(run, *lost) == set()


def test_a_name_that_is_missing_or_not_expected_is_told_where_it_is_not_refused(run: Run):
    for model in (1, 2):
        strict = run(VOCABULARY.encode([S("tensor"), S("tensor"), S("save_model"), S("load_model", model)]))
        assert strict[0] == REJECT
        steps = [S("tensor"), S("tensor"), S("save_model"), S("load_model", model, 1)]
        assert run(VOCABULARY.encode(steps))[0] == ACCEPT
        assert signatures(run, *steps) == {ANSWER}


@pytest.mark.parametrize(
    "steps",
    [
        [S("tensor", 0, 3, L["sparse"]), S("save")],
        [S("tensor", 0, 3, L["flipped"]), S("save")],
        [S("tensor", 0, 3), S("view"), S("save")],
        [S("value"), S("save")],
        [S("tensor"), S("holder", 5), S("save")],
        [S("tensor", 0, 3, L["tail"]), S("save_model")],
        [S("tensor"), S("name", 19), S("save")],
        [S("tensor"), S("metadata", 4), S("save")],
    ],
)
def test_what_the_library_announces_is_a_refusal(run: Run, steps: list):
    assert run(VOCABULARY.encode(steps))[0] == REJECT
    assert signatures(run, *steps) == set()


def test_an_error_that_nobody_announces_is_told_by_call_without_the_dtype(run: Run):
    for dtype in DTYPES[ODD_DTYPES:]:
        steps = [S("tensor", DTYPES.index(dtype), 3), S("save_file")]
        assert run(VOCABULARY.encode(steps))[0] == RAISE
        assert signatures(run, *steps) == {"torch_writers|contract|raise|save: KeyError: _"}


def test_an_error_that_save_model_has_from_save_file_is_that_one_s(run: Run):
    found = {"torch_writers|contract|raise|save: NotImplementedError: Cannot copy out of meta tensor; no data!"}
    for call in ("save", "save_file", "save_model"):
        assert signatures(run, S("tensor", 0, 3, L["meta"]), S(call)) == found


def test_every_layout_and_view_can_be_made_in_every_form(run: Run):
    for form in range(len(FORMS)):
        for layout in LAYOUT_NUMBERS.values():
            run(VOCABULARY.encode([S("tensor", 0, 3, layout), S("form", form), S("save"), S("save_model")]))
        for view in range(len(VIEWS)):
            run(VOCABULARY.encode([S("tensor", 0, 3), S("view", 0, view), S("form", form), S("save_model")]))


def test_what_cannot_be_read_is_the_reader_s_matter(run: Run):
    eight = DTYPES.index("float8_e8m0fnu")
    for call in (S("load"), S("resave"), S("twice")):
        observation = run(VOCABULARY.encode([S("tensor", eight, 3), S("save"), call]))
        assert events(observation) == [("save", ACCEPT), ("load", RAISE)]


def test_a_conjugate_that_is_not_worked_out_yet_is_written_as_its_opposite(run: Run):
    assert signatures(run, S("tensor", 0, 3, L["conj"]), S("save")) == {
        "torch_writers|roundtrip|torch.written|bytes/lazy"
    }


def without_known_defects(data: bytes) -> bool:
    """Nothing that is known to go wrong: what a dictionary and a module can hold, and both may be saved as they are."""
    things = decode(data).things
    ready = things.sound and things.sound_state(contiguous=False)
    read = all(made.dtype not in ("float8_e8m0fnu", "float4_e2m1fn_x2") for made in things.tensors.values())
    signed = all(made.word not in ("conj", "neg") for made in things.tensors.values())
    return ready and read and signed and bool(things.tensors or things.metadata.value != {})


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=60)
@given(data=strategies.programs(VOCABULARY).filter(without_known_defects))
def test_what_programs_without_known_defects_save_is_what_comes_back(run: Run, data: bytes):
    target = get_target("torch_writers")
    found = {one.signature for one in judge_observation(target, run, data, run(data))}
    assert found <= {ANSWER}


def test_a_third_of_mutated_programs_or_more_are_taken_to_the_last_call(run: Run):
    target = get_target("torch_writers")
    seeds = list(target.seeds().values())
    mutate = target.mutator()
    assert mutate is not None
    outcomes = Counter(run(mutate(seeds[seed % len(seeds)], target.max_len, seed * 7919))[0] for seed in range(400))
    assert 3 * outcomes[ACCEPT] > outcomes.total()
    assert outcomes[REJECT] > outcomes[RAISE] > 0


def test_features_tell_programs_apart(run: Run):
    target = get_target("torch_writers")
    seen = {name: frozenset(target.features(run(program))) for name, program in target.seeds().items()}
    assert len(set(seen.values())) == len(seen)


def test_nothing_is_left_behind_by_a_run(run: Run):
    run(VOCABULARY.encode([S("tensor"), S("save_file"), S("load_file"), S("save_model"), S("load_model")]))
    folder: Path = run.__self__._path.parent  # type: ignore[attr-defined]
    assert list(folder.iterdir()) == []


def test_it_is_left_out_where_torch_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert get_target("torch_writers").missing() == "torch is not installed"
    assert get_target("torch_writers").install() == "pip install 'safetensors-harness[torch]'"
