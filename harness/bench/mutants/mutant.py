"""Mutants of the parser's source, as two libraries list them: cargo-mutants for Rust, cosmic-ray for Python."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.findings.defects import Edit
from harness.parsers import sources

#: The crate, and the bindings, below the source.
CRATES = ("safetensors", str(sources.BINDINGS))
#: The Python modules whose framework can be installed everywhere.
MODULES = ("py_src/safetensors/numpy.py", "py_src/safetensors/torch.py")

# Compiled on macOS alone.
_ELSEWHERE = ("src/metal.rs",)
_LISTER = Path(__file__).with_name("list_python.py")
_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class AsChange:
    """A change of the parser that :func:`harness.parsers.build.build` applies."""

    name: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file: the characters from ``start`` to ``end`` of its text become ``text``.

    ``file`` is a path below the source, ``line`` counts from 1. ``change`` says what changes, in the library's words.
    """

    file: str
    line: int
    column: int
    function: str
    change: str
    start: int
    end: int
    text: str

    @property
    def name(self) -> str:
        """Names it among all mutants of the same source."""
        return f"{self.file}:{self.line}:{self.column}: {self.change}"

    @property
    def id(self) -> str:
        """Eight hex digits of a hash of the name and the text."""
        return hashlib.sha256(f"{self.name}\0{self.text}".encode()).hexdigest()[:8]

    @property
    def python(self) -> bool:
        """Whether nothing needs to be compiled for it."""
        return self.file.endswith(".py")

    @property
    def of_crate(self) -> bool:
        """Whether the crate has it, and not the bindings."""
        return self.file.startswith("safetensors/")

    def applied(self, text: str) -> str:
        """The ``text`` of its file, with the change."""
        return text[: self.start] + self.text + text[self.end :]

    def as_change(self, text: str) -> AsChange:
        """The same as an edit of the ``text`` of its file, with the shortest anchor around it that occurs once."""
        start, end = self.start, max(self.end, self.start + 1)
        while text.find(text[start:end]) != start or text.find(text[start:end], start + 1) >= 0:
            start, end = max(start - 1, 0), min(end + 1, len(text))
        new = text[start : self.start] + self.text + text[self.end : end]
        return AsChange(f"mutant {self.id}", (Edit(self.file, text[start:end], new),))


def every(source: Path, libraries: Path) -> list[Mutant]:
    """All mutants of ``source``, in the order of its files. ``libraries``: the folder that `.ci/mutants` installs into.

    Raises HarnessError where a library is not there, or fails.
    """
    libraries = libraries.resolve()
    return [*_rust(source, libraries), *_python(source, libraries)]


def share(mutants: Sequence[Mutant], number: int, of: int) -> list[Mutant]:
    """The part ``number`` (from 1) ``of`` several: every file and function is spread over all parts."""
    return list(mutants[number - 1 :: of])


def _rust(source: Path, libraries: Path) -> Iterator[Mutant]:
    program = libraries / "bin" / "cargo-mutants"
    for crate in CRATES:
        command = [str(program), "mutants", "--list", "--json", "--dir", str(source / crate), "--no-config"]
        for row in _run(command):
            if row["file"] not in _ELSEWHERE:
                yield _of_cargo(row, source, crate)


def _of_cargo(row: dict[str, Any], source: Path, crate: str) -> Mutant:
    file = f"{crate}/{row['file']}"
    span, function = row["span"], row.get("function") or {}
    starts = _line_starts((source / file).read_text(encoding="utf-8"))
    start, end = (starts[span[at]["line"] - 1] + span[at]["column"] - 1 for at in ("start", "end"))
    change = row["name"].split(": ", 1)[1]
    return Mutant(
        file,
        span["start"]["line"],
        span["start"]["column"],
        str(function.get("function_name", "")),
        change,
        start,
        end,
        row["replacement"],
    )


def _python(source: Path, libraries: Path) -> Iterator[Mutant]:
    for file in MODULES:
        command = [sys.executable, str(_LISTER), str(libraries / "python"), str(source / file)]
        before = (source / file).read_text(encoding="utf-8")
        for row in _run(command):
            start, end, text = _difference(before, row["code"])
            # Two changes of one number differ by the new number alone.
            change = f"{row['change']}: {text.strip()}" if "Number" in row["change"] else row["change"]
            yield Mutant(file, row["line"], row["column"] + 1, row["function"], change, start, end, text)


def _difference(before: str, after: str) -> tuple[int, int, str]:
    """Start and end of the part of ``before`` that differs, and the text in its place."""
    start = next(
        (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    tail = 0
    while tail < min(len(before), len(after)) - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return start, len(before) - tail, after[start : len(after) - tail]


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _run(command: Sequence[str]) -> Iterable[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="harness-mutants-") as folder:
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=_PATIENCE_S)
            rows: list[dict[str, Any]] = json.loads(done.stdout)
            return rows
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip()
            raise HarnessError(
                f"the mutants could not be listed: {said[-600:]}", hint=".ci/mutants measure installs the libraries"
            ) from error
