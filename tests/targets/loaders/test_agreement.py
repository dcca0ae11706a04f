"""Entry points that lie: the real ones' readings, changed, and what the oracle says of them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from harness.format.encode import pack
from harness.observation import ACCEPT, RAISE, REJECT, Event, Observation, Reading, Readings
from harness.oracles import contract
from harness.oracles.oracle import Execution
from harness.targets.loaders import agreement
from harness.targets.loaders.backends import Backends
from harness.targets.loaders.numpy import Numpy

PARTS = [("second", "F32", (2, 1), bytes(range(8))), ("first", "U8", (3,), b"abc"), ("empty", "I64", (2, 0), b"")]
FILE = pack(PARTS[:2], {"a": "b"})


def run(safetensors: ModuleType, data: bytes = FILE, target: Any = None) -> Observation:
    return (target or Backends()).open(safetensors)(data)


def event(observation: Observation, call: str) -> Event:
    found: Event = next(event for event in observation[2].events if event.call == call)
    return found


def findings(observation: Observation) -> list[tuple[str, str]]:
    found = agreement.check(Execution(FILE, observation))
    assert all((finding.oracle, finding.kind) == ("agreement", "differential") for finding in found)
    return [(finding.rule.name, finding.aspect) for finding in found]


@pytest.mark.parametrize("target", [Numpy(), Backends()], ids=lambda target: target.name)
def test_honest_entry_points_are_not_accused(safetensors: ModuleType, target: Any) -> None:
    for data in (FILE, pack([]), pack(PARTS[1::-1]), pack(PARTS[:2], {}), FILE[:-1], b"", b"\xff" * 40):
        assert findings(run(safetensors, data, target)) == []


def test_get_tensors_has_the_order_of_offset_keys(safetensors: ModuleType) -> None:
    observation = run(safetensors)
    event(observation, "pread.get_tensors").value.tensors.reverse()
    assert findings(observation) == [("get-tensors-order", "pread.get_tensors")]


def test_a_dtype_that_the_framework_lacks_is_no_disagreement(safetensors: ModuleType) -> None:
    for dtype, size in (("BF16", 8), ("F8_E4M3", 4), ("F6_E2M3", 3)):
        data = pack([("t", dtype, (4,), bytes(size)), *PARTS[:2]])
        for target in (Numpy(), Backends()):
            assert findings(run(safetensors, data, target)) == []


def _first(reading: Reading, **changes: Any) -> None:
    name, held = reading.tensors[0]
    reading.tensors[0] = name, {**held, **changes}


LIES: dict[str, tuple[Callable[[Reading], object], str]] = {
    "a name": (lambda reading: reading.tensors.append(("more", reading.tensors[0][1])), "names"),
    "a tensor too few": (lambda reading: reading.tensors.pop(), "names"),
    "a tensor twice": (lambda reading: reading.tensors.append(reading.tensors[0]), "names"),
    "dtype": (lambda reading: _first(reading, dtype="I8"), "dtype"),
    "shape": (lambda reading: _first(reading, shape=[7]), "shape"),
    "bytes": (lambda reading: _first(reading, data=b"odd"), "bytes"),
    "metadata": (lambda reading: setattr(reading, "metadata", None), "metadata"),
    "order": (lambda reading: setattr(reading, "offset_keys", ["first", "second"]), "offset-keys"),
    "what is said of a tensor": (lambda reading: _first(reading, said=["I8", [3]]), "about"),
}


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_of_one_backend_is_seen_once(safetensors: ModuleType, lie: str) -> None:
    tell, aspect = LIES[lie]
    observation = run(safetensors)
    tell(event(observation, "pread.get_tensor").value)
    (found,) = findings(observation)
    # What deserialize does not give is compared within the framework.
    other = "mmap.get_tensor" if aspect in ("metadata", "offset-keys") else "deserialize"
    assert found == (f"agreement.{other}-pread.get_tensor", aspect)


def test_the_same_lie_of_several_is_one_finding(safetensors: ModuleType) -> None:
    observation = run(safetensors)
    for call in ("mmap.get_slice", "pread.get_tensor", "pread.get_slice"):
        _first(event(observation, call).value, shape=[7])
    assert findings(observation) == [("agreement.deserialize-mmap.get_slice", "shape")]


def test_a_refusal_of_what_another_reads_is_seen(safetensors: ModuleType) -> None:
    observation = run(safetensors)
    refused = event(observation, "pread.get_tensors")
    refused.outcome, refused.error, refused.value = REJECT, "no", ValueError("no")
    assert findings(observation) == [("agreement.deserialize-pread.get_tensors", "outcome:accept/reject")]


def test_what_is_raised_is_the_contract_s_to_say_but_for_entry_points_of_one_framework(safetensors: ModuleType) -> None:
    observation = run(safetensors, target=Numpy())
    failed = event(observation, "load")
    failed.outcome, failed.error, failed.value = RAISE, "KeyError: 'x'", KeyError("x")
    assert findings(observation) == [("agreement.mmap.get_tensor-load", "outcome:accept/raise")]
    assert [finding.aspect for finding in contract.check(Execution(FILE, observation))] == ["load: KeyError: _"]
    event(observation, "mmap.get_tensor").value.partial = {"t": "KeyError: 'x'"}
    assert ("agreement.mmap.get_tensor-load", "outcome:accept/raise") not in findings(observation)


def test_one_tensor_that_is_refused_by_one_backend_is_seen(safetensors: ModuleType) -> None:
    observation = run(safetensors)
    reading = event(observation, "pread.get_tensor").value
    name, _ = reading.tensors.pop()
    reading.partial = {name: "SafetensorError: no"}
    assert findings(observation) == [("agreement.deserialize-pread.get_tensor", "tensor:accept/refused")]


def test_f4_of_an_odd_last_dimension_may_be_refused_by_a_framework_that_keeps_two_in_one() -> None:
    def observation(shape: list[int]) -> Observation:
        reading = Reading([("t", {"dtype": "F4", "shape": shape, "data": b"ab"})], None)
        refused = Event("load_file", REJECT, "no", ValueError("no"), frozenset({"F4"}))
        return ACCEPT, "", Readings([], None, events=[Event("deserialize", ACCEPT, "", reading, frozenset()), refused])

    assert findings(observation([4, 1])) == []
    assert findings(observation([1, 4])) == [("agreement.deserialize-load_file", "outcome:accept/reject")]


def test_names_of_empty_tensors_may_stand_in_any_order() -> None:
    held = {"dtype": "U8", "shape": [0], "data": b""}
    mine, theirs = (Reading([("a", held), ("b", held)], None, list(keys)) for keys in (("a", "b"), ("b", "a")))
    assert agreement.compare(mine, theirs) is None
    theirs.offset_keys = ["a", "c"]
    assert (agreement.compare(mine, theirs) or ("",))[0] == "offset-keys"


def test_entry_points_that_fail_in_the_same_words_have_one_defect(safetensors: ModuleType) -> None:
    data = pack([("t", "BF16", (4,), bytes(8))])
    aspects = [finding.aspect for finding in contract.check(Execution(data, run(safetensors, data, Numpy())))]
    assert aspects == ["mmap.get_tensor: TypeError: data type _ not understood", "load: KeyError: _"]
    assert run(safetensors, data, Numpy())[0] != ACCEPT
