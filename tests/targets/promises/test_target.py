"""Target ``promises``: the real library keeps its promises but for the filed ones, and each liar is found by its rule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Self

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.findings.finding import Finding
from harness.format.encode import pack
from harness.parsers.registry import Parser
from harness.replay.judge import judge_run
from harness.targets.promises import kit, oracle
from harness.targets.promises.program import DTYPES, STUB, VOCABULARY, WRITTEN, decode
from harness.targets.registry import get_target
from harness.triage import reproducer

step = VOCABULARY.step
TENSORS = [step("tensor", 1, 3, 1), step("tensor", 0, 0, 0), step("tensor", 3, 4, 8), step("tensor", 2, 1, 2)]


def found(parser: Any, *steps: Any) -> list[tuple[str, str]]:
    """Rule and aspect of each finding of a program."""
    target = get_target("promises")
    judged = judge_run(target, target.open(parser), VOCABULARY.encode(steps))
    return [(finding.rule.name, finding.aspect) for finding in judged]


@pytest.fixture
def liar(safetensors: ModuleType) -> Callable[..., ModuleType]:
    """A library with other parts; ``save`` replaces the one of ``safetensors.numpy``."""

    def make(**parts: Any) -> ModuleType:
        module = ModuleType("safetensors")
        vars(module).update({name: one for name, one in vars(safetensors).items() if not name.startswith("__")})
        vars(module).update(__file__=safetensors.__file__, __version__=safetensors.__version__, **parts)
        return module

    return make


@given(st.binary(max_size=VOCABULARY.max_len))
def test_any_bytes_are_a_program(data: bytes) -> None:
    program = decode(data)
    assert len(program.tensors) >= 1
    assert all(call.kind in oracle.RULES for call in program.calls)


def test_the_library_keeps_all_but_known_promises(safetensors: ModuleType) -> None:
    target = get_target("promises")
    run = target.open(safetensors)
    broken = {
        (finding.rule.name, finding.aspect)
        for data in target.seeds().values()
        for finding in judge_run(target, run, data)
    }
    assert broken == {
        ("promises.name", "TensorSpec: PicklingError"),
        ("promises.name", "safe_open: PicklingError"),
        ("promises.iterate", "slice: SafetensorError"),
    }


def test_every_dtype_is_written_and_described(safetensors: ModuleType) -> None:
    for number in range(len(DTYPES)):
        rest = [step("tensor", number, 3, 1), step("tensor", 0, 0, 0), step("spec", number)]
        assert found(safetensors, *rest, *(step("serialize", kind) for kind in range(4))) == []


def test_the_names_of_the_stub_are_all_asked(safetensors: ModuleType) -> None:
    assert set(kit.stubbed(safetensors)) == set(STUB)


def content(arrays: dict[str, Any]) -> list[tuple[str, str, tuple[int, ...], bytes]]:
    code = {"float32": "F32", "uint8": "U8", "int64": "I64", "float16": "F16"}
    return [(name, code[one.dtype.name], one.shape, one.tobytes()) for name, one in arrays.items()]


def by_name(arrays: dict[str, Any], metadata: Any) -> bytes:
    return pack(sorted(content(arrays)), metadata)


def as_given(arrays: dict[str, Any], metadata: Any) -> bytes:
    return pack(content(arrays), metadata)


def unpadded(arrays: dict[str, Any], metadata: Any) -> bytes:
    raw = pack(content(arrays), metadata)
    header = raw[8 : kit.data_start(raw)].rstrip()
    header += b" " * (-len(header) % 8 + 1)
    return len(header).to_bytes(8, "little") + header + raw[kit.data_start(raw) :]


def overpadded(arrays: dict[str, Any], metadata: Any) -> bytes:
    raw = by_name(arrays, metadata)
    size = kit.data_start(raw) - 8
    return (size + 8).to_bytes(8, "little") + raw[8 : 8 + size] + b" " * 8 + raw[8 + size :]


def spaced(arrays: dict[str, Any], metadata: Any) -> bytes:
    raw = by_name(arrays, metadata)
    header = json.dumps(json.loads(raw[8 : kit.data_start(raw)])).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + raw[kit.data_start(raw) :]


class Counting:
    """Each call writes another file."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, arrays: dict[str, Any], metadata: Any) -> bytes:
        self.calls += 1
        return by_name(arrays, {"n": str(self.calls)})


@pytest.mark.parametrize(
    ("save", "kind", "aspect"),
    [
        (unpadded, "header", "other"),
        (by_name, "elements", "other"),
        (by_name, "order", "size"),
        (as_given, "order", "size"),
        (overpadded, "spelling", "padding"),
        (spaced, "spelling", "spelling"),
        (Counting(), "again", "other"),
        (as_given, "insertion", "other"),
        (by_name, "writer", "other"),
    ],
)
def test_a_writer_that_breaks_its_promise_is_found(liar: Any, save: Any, kind: str, aspect: str) -> None:
    real = liar().numpy
    module = liar(numpy=SimpleNamespace(save=save, save_file=real.save_file))
    asked = step("save", list(WRITTEN).index(kind))
    # One byte before larger elements, in the order of the caller and by name.
    before = [step("tensor", 1, 2, 0), step("tensor", 0, 0, 1)]
    assert found(module, *before, asked) == [(f"promises.{kind}", aspect)]
    assert found(liar(), *before, asked) == []


class Slice:
    """Rows without end."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getitem__(self, index: Any) -> Any:
        return numpy.zeros(2, "float32")

    def __len__(self) -> int:
        return 99

    def __repr__(self) -> str:
        raise ValueError

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class File:
    """A file that swallows exceptions and stays open."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> bool:
        return True

    def keys(self) -> tuple[str, ...]:
        return tuple(self.real.keys())

    def get_slice(self, name: str) -> Slice:
        return Slice(self.real.get_slice(name))


class Changing(Exception):
    """An error whose copies lose their words."""

    def __reduce__(self) -> Any:
        return Changing, ()


def test_objects_that_break_their_promises_are_found(liar: Any, safetensors: ModuleType) -> None:
    def opened(*arguments: Any, **more: Any) -> File:
        return File(safetensors.safe_open(*arguments, **more))

    module = liar(safe_open=opened, SafetensorError=Changing)
    assert found(module, step("iterate")) == [("promises.iterate", "slice: endless")]
    assert found(module, step("len", 1)) == [("promises.len", "slice: wrong")]
    assert found(module, step("ask", 1)) == [("promises.ask", "repr slice: ValueError")]
    assert found(module, step("copy", 4)) == [("promises.copy", "copy error: different")]
    assert found(module, step("with", 0), step("with", 1)) == [
        ("promises.with", "pass file: open"),
        ("promises.with", "error file: swallowed"),
    ]
    assert found(module, step("type")) == [("promises.type", "keys: tuple")]
    assert found(module, step("stub", STUB.index("SafetensorError"))) == []
    assert found(module, step("stub", STUB.index("safe_open"))) == [("promises.stub", "safe_open: kind")]
    assert found(module, step("stub", STUB.index("safe_open.keys"))) == [("promises.stub", "safe_open.keys: missing")]
    assert found(module, step("name", 5)) == []


def test_other_arguments_than_in_the_stub_are_found(liar: Any) -> None:
    def serialize(tensor_dict: Any, metadata: Any) -> None:
        """Demands metadata."""

    module = liar(serialize=serialize)
    assert found(module, step("stub", STUB.index("serialize"))) == [("promises.stub", "serialize: arguments")]


def test_a_spec_that_tells_other_values_is_found(liar: Any, safetensors: ModuleType) -> None:
    def spec(**given: Any) -> Any:
        return SimpleNamespace(
            dtype="F32", shape=given["shape"], data_ptr=given["data_ptr"], data_len=given["data_len"]
        )

    module = liar(TensorSpec=spec)
    assert found(module, step("spec", DTYPES.index("F32"))) == []
    assert found(module, step("spec", DTYPES.index("F64"))) == [("promises.spec", "plain")]
    assert found(module, step("spec", DTYPES.index("F4"))) == [("promises.spec", "packed")]


@pytest.mark.parametrize(
    ("steps", "signature", "expected"),
    [
        ([step("name", 1)], "differential|promises.name|safe_open: PicklingError", 1),
        ([step("iterate")], "differential|promises.iterate|slice: SafetensorError", 1),
        ([*TENSORS, step("serialize", 2)], "roundtrip|promises.order|size", 0),
        ([step("stub", STUB.index("serialize")), step("stub", len(STUB))], "differential|promises.stub|unlisted", 0),
        ([step("copy", 3, 2), step("with", 0, 1)], "differential|promises.with|pass handle: open", 0),
    ],
)
def test_reproducers_need_no_harness(
    wheel_parser: Parser, tmp_path: Path, steps: list[Any], signature: str, expected: int
) -> None:
    data = VOCABULARY.encode(steps)
    finding = Finding.of_signature(f"promises|{signature}", "promises", "a summary")
    crash = Crash(finding, status=crashes.OPEN, why="why", releases=("0.8.0",), builds=("wheel",))
    text = reproducer.write(crash, data)
    assert not reproducer.needs_harness(text)
    folder = crashes.file(crash, data, text, root=tmp_path / "crashes")
    done = subprocess.run(
        [sys.executable, str(folder / crashes.REPRODUCER)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(wheel_parser.site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == expected, done.stdout + done.stderr
