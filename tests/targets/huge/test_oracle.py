"""The oracle of ``huge`` sees what a lying parser gets wrong, and nothing else."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import pytest

from harness.findings.finding import Finding
from harness.observation import ACCEPT, REJECT, Observation
from harness.oracles.oracle import Execution
from harness.targets.huge.layout import build
from harness.targets.huge.oracle import KEYS, OPEN, Measured, check
from harness.targets.huge.program import Step, encode
from harness.targets.huge.target import Huge

STEPS = (Step("tensors", 12), Step("metadata", 2), Step("empties", 3), Step("tensors", 2, 1))


class Lie:
    """The real reader, with one method replaced by what ``lies`` makes of its answer."""

    def __init__(self, file: Any, lies: dict[str, Any]) -> None:
        self._file, self._lies = file, lies

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.__exit__(*error)

    def __getattr__(self, name: str):
        honest = getattr(self._file, name)
        lie = self._lies.get(name)
        return honest if lie is None else lambda *args: lie(honest(*args))


def judged(observation: Observation) -> list[Finding]:
    """What the oracle says of one run, whatever its program was."""
    return check(Execution(b"", observation))


def findings(safetensors: ModuleType, steps: tuple[Step, ...] = STEPS, **lies: Any) -> list[tuple[str, str, str]]:
    """Kind, rule and aspect of what is found when the parser's methods lie."""

    def opened(path: str, framework: str) -> Lie:
        if "open" in lies:
            lies["open"](path)
        return Lie(safetensors.safe_open(path, framework=framework), lies)

    def deserialized(data: bytes) -> Any:
        return lies.get("deserialize", lambda read: read)(safetensors.deserialize(data))

    module = ModuleType("lying")
    module.__dict__.update(safe_open=opened, deserialize=deserialized, SafetensorError=safetensors.SafetensorError)
    target = Huge()
    program = encode(steps)
    return [(f.kind, f.rule.name, f.aspect) for f in judged(target.open(module)(program))]


def test_the_honest_parser_is_not_accused(safetensors: ModuleType):
    assert findings(safetensors) == []


def swapped(names: list[str]) -> list[str]:
    return [names[1], names[0], *names[2:]]


@pytest.mark.parametrize(
    ("lies", "aspect"),
    [
        ({"keys": lambda names: names[:-1]}, "names"),
        ({"keys": lambda names: [*names, "one more"]}, "names"),
        ({"keys": swapped}, "names"),
        ({"offset_keys": swapped}, "offset-order"),
        ({"offset_keys": lambda names: names[1:]}, "offset-order"),
        ({"metadata": lambda entries: {**entries, "m1.0": "w"}}, "metadata"),
        ({"metadata": lambda entries: None}, "metadata"),
        ({"get_tensor": lambda array: array + 1}, "bytes"),
        ({"get_tensor": lambda array: array.astype("int8")}, "dtype"),
        ({"get_tensor": lambda array: array.reshape(1, -1)}, "shape"),
        ({"deserialize": lambda read: read[1:]}, "names"),
        ({"deserialize": lambda read: [(name, {**held, "dtype": "I8"}) for name, held in read]}, "dtype"),
        ({"deserialize": lambda read: [(name, {**held, "data": b"?"}) for name, held in read]}, "bytes"),
    ],
)
def test_every_lie_is_seen(safetensors: ModuleType, lies: dict[str, Any], aspect: str):
    assert ("differential", "misread", aspect) in findings(safetensors, **lies)


@pytest.mark.parametrize("name", ["t0.1f4", "b1"])
def test_a_lie_in_the_middle_of_many_or_of_a_large_tensor_is_seen(safetensors: ModuleType, name: str):
    steps = Step("tensors", 1_000), Step("big", 1 << 33)

    class Shifted:
        """A part whose offsets lose their high half."""

        def __init__(self, part: Any) -> None:
            self._part, self.get_shape = part, part.get_shape

        def __getitem__(self, index: slice) -> Any:
            return self._part[index.start % (1 << 32) : index.stop - index.start + index.start % (1 << 32)]

    class Zeros:
        """Every 500th tensor is zeros."""

        count = 0

        def __call__(self, array: Any) -> Any:
            self.count += 1
            return array * 0 if self.count == 501 else array

    lies = {"get_slice": Shifted} if name == "b1" else {"get_tensor": Zeros()}
    assert findings(safetensors, steps, **lies) == [("differential", "misread", "bytes")]


@pytest.mark.parametrize("lies", [{"get_tensor": lambda array: array + 1}, {"get_slice": lambda part: part[...] + 1}])
def test_a_lie_by_pread_alone_is_seen(safetensors: ModuleType, lies: dict[str, Any]):
    module = ModuleType("lying")
    vars(module).update(vars(safetensors))

    def opened(path: str, framework: str, backend: str = "mmap") -> Any:
        file = safetensors.safe_open(path, framework=framework, backend=backend)
        return Lie(file, lies) if backend == "pread" else file

    module.safe_open = opened  # type: ignore[attr-defined]
    steps = Step("tensors", 2), Step("big", 1 << 33), Step("tensors", 2, 5)
    found = judged(Huge().open(module)(encode(steps)))
    assert [(one.rule.name, one.aspect) for one in found] == [("misread", "pread/bytes")]


def test_empty_tensors_may_stand_in_any_order(safetensors: ModuleType):
    def shuffled(names: list[str]) -> list[str]:
        empty = [name for name in names if name.startswith("e")]
        at = names.index(empty[0])
        return names[:at] + empty[::-1] + names[at + len(empty) :]

    assert findings(safetensors, offset_keys=shuffled) == []


def test_a_wrong_refusal_is_seen_once_for_both_entry_points_and_named_where_they_differ(safetensors: ModuleType):
    def refuse(_: Any) -> None:
        raise safetensors.SafetensorError("Error while deserializing header: no more than 3 tensors")

    words = "refused", "tensors/no more than N tensors"
    assert findings(safetensors, open=refuse) == [("differential", words[0], f"{words[1]}/open alone")]
    assert findings(safetensors, open=refuse, deserialize=refuse) == [("differential", *words)]


def outcome(steps: tuple[Step, ...], **changes: Any) -> Measured:
    """A run that ended as said, without a parser: for what no real one does."""
    return Measured(build(steps), **changes)


def test_a_wrong_acceptance_says_which_rule_and_what_broke_it():
    broken = outcome((Step("digits", 9, 1),), ends={OPEN: (ACCEPT, "")})
    (finding,) = judged((ACCEPT, "", broken))
    assert (finding.rule.name, finding.aspect) == ("header.json", "accepted/digits")
    assert "header" in finding.summary


def test_a_rightful_refusal_is_none():
    assert judged((REJECT, "x", outcome((Step("digits", 9),), ends={OPEN: (REJECT, "x")}))) == []


@pytest.mark.parametrize(
    ("full", "half", "found"), [(0.8, 0.4, []), (0.8, 0.3, []), (0.8, 0.2, ["time.keys"]), (9.0, 1.0, ["time.keys"])]
)
def test_time_is_judged_by_how_it_grows(full: float, half: float, found: list[str]):
    slow = outcome((Step("metadata", 100),), slower={KEYS: (full, half)})
    assert [f.rule.name for f in judged((ACCEPT, "", slow))] == found
    assert all((f.kind, f.aspect) == ("time", "metadata") for f in judged((ACCEPT, "", slow)))


@pytest.mark.parametrize(("factor", "found"), [(39, []), (41, ["memory.open"])])
def test_memory_is_judged_by_the_size_of_the_header(factor: int, found: list[str]):
    layout = build((Step("name", 3_000_000),))
    large = Measured(layout, growth={OPEN: factor * layout.header_size})
    assert [(f.kind, f.rule.name) for f in judged((ACCEPT, "", large))] == [("memory", rule) for rule in found]


def test_a_quadratic_parser_is_measured_again_and_found(safetensors: ModuleType):
    """Its cost stands out of any noise: three quarters of a second against a sixth of that."""

    def quadratic(names: list[str]) -> list[str]:
        until = time.process_time() + 0.75 * (len(names) / 2_000) ** 2
        while time.process_time() < until:
            pass
        return names

    found = findings(safetensors, (Step("tensors", 2_000),), keys=quadratic)
    assert found == [("time", "time.keys", "tensors")]


def test_an_exception_instead_of_a_measurement_is_left_to_the_contract():
    assert judged((REJECT, "MemoryError: ", MemoryError())) == []
