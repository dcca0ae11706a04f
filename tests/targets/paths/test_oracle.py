"""Parsers that lie, each about one promise on files, and honest ones."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy
import pytest

from harness.programs.steps import Step
from harness.replay.judge import judge_run
from harness.targets.paths import other_process
from harness.targets.paths.program import ACTS, NAMES, THINGS, VOCABULARY
from harness.targets.paths.target import Paths

step = VOCABULARY.step
traced = pytest.mark.skipif(bool(other_process.refusal()), reason="no ptrace")


class Reader:
    """A handle that reads the whole file when it is opened."""

    def __init__(self, raw: bytes, deserialize: Any) -> None:
        self._tensors = dict(deserialize(raw))

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to close."""

    def keys(self) -> list[str]:
        return list(self._tensors)

    def get_tensor(self, name: str) -> Any:
        kinds = {"F32": "float32", "U8": "uint8", "I64": "int64", "F16": "float16", "BOOL": "bool"}
        one = self._tensors[name]
        return numpy.frombuffer(one["data"], kinds[one["dtype"]]).reshape(one["shape"])


def twice(path: Any) -> bytes:
    """The header of the file at the path, then the data of the file at the path."""
    header = Path(path).read_bytes()
    start = 8 + int.from_bytes(header[:8], "little")
    other = Path(path).read_bytes()
    return header[:start] + other[8 + int.from_bytes(other[:8], "little") :][: len(header) - start].ljust(
        len(header) - start, b"\0"
    )


def in_place(path: Any, raw: bytes) -> None:
    Path(path).write_bytes(raw)


def careful(path: Any, raw: bytes) -> None:
    """Into the file at the path, as release 0.7.0 wrote."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666)
    try:
        os.write(number, raw)
        if stat.S_ISREG(os.fstat(number).st_mode):
            os.ftruncate(number, len(raw))
    finally:
        os.close(number)


def damages(path: Any, raw: bytes) -> None:
    Path(path).write_bytes(raw[: len(raw) // 2])
    raise OSError("no space")


def leaves(path: Any, raw: bytes) -> None:
    in_place(path, raw)
    Path(f"{path}.part").write_bytes(b"")


def wrong(path: Any, raw: bytes) -> None:
    in_place(path, raw[:-1] + bytes([raw[-1] ^ 1]))


def refuses(path: Any, raw: bytes) -> None:
    raise OSError("not today")


def judged(safetensors: ModuleType, steps: tuple[Step, ...], *, read: Any = None, write: Any = None) -> set[str]:
    """The findings of a program with a parser that reads or writes so."""

    def safe_open(path: Any, framework: str, backend: str = "mmap") -> Reader:
        return Reader(read(path), safetensors.deserialize)

    def serialize_file(specs: Any, path: Any, metadata: Any = None) -> None:
        write(path, safetensors.serialize(specs, metadata))

    liar: Any = SimpleNamespace(
        SafetensorError=safetensors.SafetensorError, TensorSpec=safetensors.TensorSpec, __name__="safetensors",
        _safetensors_rust=safetensors._safetensors_rust, safe_open=safe_open, serialize_file=serialize_file,
        deserialize=safetensors.deserialize,
    )  # fmt: skip
    target = Paths()
    data = VOCABULARY.encode(steps)
    return {f"{one.rule.name}|{one.aspect}" for one in judge_run(target, target.open(liar), data)}


SAVE = step("serialize_file", 0, 2)
LIARS: list[tuple[Callable[[Any, bytes], None], set[str]]] = [
    (damages, {"paths.lost|file"}),
    (leaves, {"paths.left-over|accept"}),
    (wrong, {"paths.written|file"}),
    (refuses, {"paths.refused|OSError: not today"}),
    (careful, set()),
]


@pytest.mark.parametrize(("liar", "names"), LIARS)
def test_each_liar_among_writers_is_found_and_the_honest_one_is_not(
    safetensors: ModuleType, liar: Any, names: set[str]
) -> None:
    assert judged(safetensors, (SAVE,), write=liar) == names


@pytest.mark.parametrize(("name", "more"), [("longest-name", " (short path)"), ("longest-path", "")])
def test_a_short_path_that_is_too_long_has_a_cause_of_its_own(safetensors: ModuleType, name: str, more: str) -> None:
    def too_long(path: Any, raw: bytes) -> None:
        raise safetensors.SafetensorError("File name too long")

    steps = (step("name", NAMES.index(name)), SAVE)
    assert judged(safetensors, steps, write=too_long) == {f"paths.refused|SafetensorError: File name too long{more}"}


@pytest.mark.parametrize("thing", THINGS)
def test_a_writer_into_the_file_at_the_path_is_left_alone(safetensors: ModuleType, thing: str) -> None:
    assert judged(safetensors, (step("thing", THINGS.index(thing)), SAVE), write=careful) == set()
    assert judged(safetensors, (step("thing", THINGS.index(thing)), step("user"), SAVE), write=careful) == set()


@traced
def test_header_and_data_of_two_files_are_a_mixture(safetensors: ModuleType) -> None:
    names = set()
    for point in range(8):
        steps = step("act", ACTS.index("replace"), point, 1), step("open")
        names |= judged(safetensors, steps, read=twice)
    # Both files have the same header, so this mixture is the later file.
    assert names == set()
    for point in range(8):
        steps = step("act", ACTS.index("replace"), point, 2), step("open")
        names |= judged(safetensors, steps, read=twice)
    assert names == {"paths.read|numpy.mmap: replaced: mixed"}


@traced
def test_one_read_of_one_file_is_left_alone(safetensors: ModuleType) -> None:
    for name in ("replace", "unlink", "away", "to-symlink", "forbid", "short"):
        for point in range(5):
            steps = step("act", ACTS.index(name), point, 2), step("open")
            assert judged(safetensors, steps, read=lambda path: Path(path).read_bytes()) == set()
