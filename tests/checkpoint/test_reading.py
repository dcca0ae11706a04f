from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint import reading
from harness.checkpoint.reading import Reader
from harness.format.judge import judge
from tests.checkpoint.folders import file


def test_a_file_that_shrinks_while_it_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = file(tmp_path / "model.safetensors", "a", "b")
    size = path.stat().st_size

    def slow(data: bytes):
        os.truncate(path, size - 4)
        return judge(data)

    monkeypatch.setattr(reading, "judge", slow)
    with Reader([]) as reader:
        read = reader.read(str(path))
    (problem,) = read.problems
    assert (problem.kind.code, read.rule, read.header) == ("changed-while-read", "changed-while-read", None)
    assert problem.what == f"the file had {size} bytes, then {size - 4}"


def test_a_small_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"GGUF\3\0\0\0" + bytes(16))
    opened: list[str] = []

    def counted(name: str, *rest: Any, **named: Any) -> int:
        opened.append(os.fspath(name))
        return real(name, *rest, **named)

    real = os.open
    monkeypatch.setattr(os, "open", counted)
    with Reader([]) as reader:
        read = reader.read(str(path))
    assert read.foreign is not None
    assert (read.foreign.kind, opened) == ("gguf", [str(path)])


def test_a_large_file_is_read_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "WHOLE", 8)
    with Reader([]) as reader:
        read = reader.read(str(file(tmp_path / "model.safetensors", "a")))
    assert read.header is not None
    assert [tensor.name for tensor in read.header.tensors] == ["a"]
    assert (read.verdict, read.problems) == ("accept", [])


def test_a_file_that_readers_may_take_in_two_ways_is_a_problem(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    header = b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"extra":1}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with Reader([]) as reader:
        read = reader.read(str(path))
    assert [problem.kind.code for problem in read.problems] == ["file-unspecified"]
    assert read.row()["spec"]["rule"] == "unspecified.extra-field"
