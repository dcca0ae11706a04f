"""The real crate through its extension: honest where it should be, and its defects found under names that are known."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings

from harness.errors import HarnessError
from harness.findings.finding import Finding
from harness.observation import ACCEPT, PANIC, RAISE, REJECT, Run
from harness.parsers.crate_api import extension, library
from harness.parsers.crate_api.library import Crate, Info, PanicException, Refusal, View
from harness.parsers.registry import Parser
from harness.programs import strategies
from harness.replay.judge import judge_observation
from harness.targets import known_findings
from harness.targets.crate.program import LONG, VOCABULARY
from harness.targets.registry import get_target

S = VOCABULARY.step
FILE = S("tensor", 0, 3)


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Run:
    return get_target("crate").open(safetensors)


@pytest.fixture(scope="module")
def crate(safetensors: ModuleType, wheel_parser: Parser) -> Crate:
    return Crate(extension.find(wheel_parser))


def judged(run: Run, *steps) -> list[Finding]:
    data = VOCABULARY.encode([FILE, *steps])
    target = get_target("crate")
    return [one.on("crate") for one in judge_observation(target, run, data, run(data))]


def test_every_seed_ends_as_it_says(run: Run):
    outcomes = {name: run(program)[0] for name, program in get_target("crate").seeds().items()}
    # Some pairs of items select no whole bytes.
    assert {name for name, outcome in outcomes.items() if outcome != ACCEPT and "pairs" not in name} == {
        "absent",
        "damaged",
        "short",
        "long",
        "sub-byte",
        "wrong header",
        "past the limit",
        "file past the limit",
    }
    assert RAISE not in outcomes.values()


def test_every_call_of_the_language_is_made(run: Run):
    target = get_target("crate")
    made = {event.call for program in target.seeds().values() for event in run(program)[2].events}
    assert made == {
        "deserialize", "read_metadata", "tensor", "slice", "slice_byte_ranges", "display", "view", "metadata", "header",
        "serialize", "serialize_to_file", "dtypes", "errors", "header_text", "header_into", "refusal_into", "past_limit",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "signature"),
    [
        (
            [S("part"), S("range", 1, 2, 2)],
            "crate|differential|refused|empty-at-end",
        ),
        (
            [S("serialize"), S("change", 0, 3)],
            "crate|roundtrip|roundtrip.written|serialize: accepted/name/__metadata__",
        ),
        (
            [S("deserialize"), S("damage", 7, 0, 1)],
            "crate|differential|header.first-byte|accepted/whitespace",
        ),
    ],
)  # fmt: skip
def test_a_defect_of_the_binding_is_known_here(run: Run, steps, signature: str):
    found = judged(run, *steps)
    assert [one.signature for one in found] == [signature]
    assert known_findings.known(signature) is not None


def test_a_panic_of_a_checked_build_has_the_name_that_it_has_in_the_binding():
    for call in ("slice", "slice_byte_ranges"):
        signature = f"crate|panic|panic|{call}: PanicException: attempt to subtract with overflow"
        assert known_findings.known(signature) == "panic-dee5d73a"
    # A build without overflow checks fails later.
    for words in ("slice index starts at N but ends at N", "capacity overflow"):
        assert known_findings.known(f"crate|panic|panic|slice: PanicException: {words}") is not None


def test_a_part_of_nothing_that_gives_everything_is_found(run: Run):
    found = judged(run, S("part"), S("range", 1, 1, 1), S("range", 1, 0, 1))
    assert [one.signature for one in found] == ["crate|differential|crate.slice|bytes/of-nothing"]


def test_a_panic_is_caught_and_tells_its_place(crate: Crate):
    twice = [("a", View("U8", [1], b"x")), ("a", View("U8", [1], b"y"))]
    with pytest.raises(PanicException, match="index out of bounds") as caught:
        crate.serialize(library.serialize(library.VIEWS, twice, None))
    assert caught.value.place.partition(":")[0] == "safetensors/src/tensor.rs"
    # The next call is none the worse.
    assert crate.serialize(library.serialize(library.VIEWS, twice[:1], None))[8:].startswith(b'{"a":')


def test_a_buffer_holds_as_much_of_a_text_as_fits(crate: Crate):
    rows = [("a", Info("F32", [2], 0, 8))]
    full = crate.fitted(library.metadata_into({"k": "v"}, rows, 200))
    assert full.text == '{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    assert (full.whole, full.written) == (True, full.text.encode())
    for room in (0, 20, 30, len(full.text) - 1):
        cut = crate.fitted(library.metadata_into({"k": "v"}, rows, room))
        assert cut == (full.text, False, full.text.encode()[:room])
    words = crate.fitted(library.refusal_into("F32", [2, 3], b"", 30))
    assert words == (
        "tensor of type F32 and shape (2, 3) can't be created from 0 bytes",
        False,
        words.text.encode()[:30],
    )


def test_a_header_past_the_limit_is_refused_by_its_own_error(crate: Crate):
    with pytest.raises(Refusal) as caught:
        crate.serialize(library.serialize(library.OWNED, [], None, long=LONG))
    assert caught.value.variant == "HeaderTooLarge"


def test_errors_tell_variant_fields_and_source(crate: Crate):
    file = crate.serialize(library.serialize(library.VIEWS, [("a", View("U8", [2], b"xy"))], None))
    with pytest.raises(Refusal) as caught:
        crate.part(library.part(library.BY_VALUE, file, "a", [library.Item(library.INTEGER, 2)]))
    assert (caught.value.variant, caught.value.fields) == ("SliceOutOfRange", (0, 2, 2))
    with pytest.raises(Refusal) as caught:
        crate.deserialize(library.deserialize(b"\1" + bytes(7) + b"\xff"))
    assert caught.value.variant == "InvalidHeader"
    assert caught.value.source.startswith("invalid utf-8 sequence")


def test_values_of_the_caller_come_back(crate: Crate):
    rows = [("a", Info("F32", [2], 0, 8)), ("b", Info("U8", [0], 8, 8))]
    header = crate.metadata_json(library.metadata_new({"k": "é"}, rows, as_json=True))
    assert (header.tensors, header.metadata, header.data_len) == (dict(rows), {"k": "é"}, 8)
    assert header.offset_keys == ["a", "b"]
    with pytest.raises(Refusal, match="invalid offset"):
        crate.metadata_new(library.metadata_new(None, rows[1:]))


def test_files_are_written_where_they_should_be_and_removed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    places = [run(VOCABULARY.encode([FILE, S("serialize_to_file", 0, place)]))[0] for place in range(3)]
    assert places == [ACCEPT, REJECT, REJECT]
    assert os.listdir(tmp_path) == []


def test_half_of_all_mutated_programs_is_valid_to_the_last_call(run: Run):
    target = get_target("crate")
    seeds = list(target.seeds().values())
    mutate = target.mutator()
    assert mutate is not None
    outcomes = Counter(run(mutate(seeds[seed % len(seeds)], target.max_len, seed * 7919))[0] for seed in range(400))
    assert outcomes[ACCEPT] > 200
    assert outcomes[REJECT] > 10
    assert RAISE not in outcomes


def test_features_tell_calls_apart(run: Run):
    target = get_target("crate")
    # Programs of the same calls with other numbers may have the same features.
    seeds = {name: program for name, program in target.seeds().items() if "pairs" not in name}
    seen = {name: frozenset(target.features(run(program))) for name, program in seeds.items()}
    assert len(set(seen.values())) == len(seen)


#: Findings of 0.8.0 that are not of the binding.
OWN = {
    "crate.display": {"display/range", "display/narrow"},
    "crate.slice": {"bytes/of-nothing", "accepted/outside"},
    "crate.slice_byte_ranges": {"bytes/of-nothing", "accepted/outside"},
    "crate.view": {"accepted/size", "accepted/misaligned"},
    "crate.metadata": {"accepted/duplicate-name"},
}


@settings(max_examples=50)
@given(data=strategies.programs(VOCABULARY))
def test_other_findings_are_known_whatever_the_program(run: Run, data: bytes):
    target = get_target("crate")
    observation = run(data)
    found = [one.on("crate") for one in judge_observation(target, run, data, observation)]
    new = [one for one in found if one.oracle == "crate" and known_findings.known(one.signature) is None]
    assert [one.signature for one in new if one.aspect not in OWN.get(one.rule.name, ())] == []
    assert all(one.kind == PANIC for one in found if one.oracle == "contract")


def test_a_build_without_the_extension_is_named(tmp_path: Path, wheel_parser: Parser, monkeypatch: pytest.MonkeyPatch):
    bare = dataclasses.replace(wheel_parser, root=tmp_path)
    with pytest.raises(HarnessError, match="was built without the extension") as failure:
        extension.find(bare)
    assert "harness build adds it" in failure.value.hint
