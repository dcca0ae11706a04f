"""Mutants of a module of the released parser, made by hand: the libraries that list them are not installed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import paths
from harness.bench.mutants import build, measure
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
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The folder of slots and results, outside build/. The links of its builds go with the test."""
    name = f"mutant-of-{tmp_path.name}"
    monkeypatch.setattr(build, "NAME", name + "-{}")
    for module in (build, measure):
        monkeypatch.setattr(module, "folder", lambda: tmp_path)
    yield tmp_path
    for link in paths.parsers_dir().glob(f"{name}-*"):
        link.unlink()


@pytest.fixture
def slot(sancov_parser: Parser, folder: Path) -> build.Slot:
    """A slot in that folder."""
    return build.Slot(0, sancov_parser)
