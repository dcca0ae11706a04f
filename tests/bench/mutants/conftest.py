"""Mutants of a module of the released parser, made by hand: the libraries that list them are not installed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import paths
from harness.bench.mutants import build
from harness.bench.mutants.mutant import Mutant
from harness.parsers.registry import Parser

Make = Callable[..., Mutant]
NUMPY = "py_src/safetensors/numpy.py"


@pytest.fixture
def make(sancov_parser: Parser) -> Make:
    """A mutant of numpy.py that replaces a text which occurs once."""

    def make(old: str, new: str, file: str = NUMPY) -> Mutant:
        text = (sancov_parser.source / file).read_text(encoding="utf-8")
        assert text.count(old) == 1
        start = text.index(old)
        line = text.count("\n", 0, start) + 1
        return Mutant(file, line, 1, "", f"replace {old} with {new}", start, start + len(old), new)

    return make


@pytest.fixture
def slot(sancov_parser: Parser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[build.Slot]:
    """A slot whose folder lies outside build/, and whose link goes with the test."""
    monkeypatch.setattr(build, "NAME", f"mutant-of-{tmp_path.name}-{{}}")
    monkeypatch.setattr(build, "folder", lambda: tmp_path)
    slot = build.Slot(0, sancov_parser)
    yield slot
    (paths.parsers_dir() / slot.parser.name).unlink()
