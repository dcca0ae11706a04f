"""Features of many inputs as bit sets, and the file format in which children write them.

A child writes lines of JSON: first ``[size, prefix]``, where the bits below ``size`` are counters called ``prefix N``; then
for each input ``[index, new names, group, counters, names]``. ``group`` numbers a set of counters. The first input with the
set has it in ``counters``, in hexadecimal. ``names`` is a bit set, in hexadecimal, of the child's names so far.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.coverage.cover import members, union

#: Prefixes of features that stand for regions of the source, and for code.
REGIONS = ("count ", "line ")
CODE = (*REGIONS, "edge ", "answer ")


class Reached:
    """The features of inputs by index; ``bits`` is None for an input that ended its process."""

    def __init__(self, count: int) -> None:
        self.bits: list[int | None] = [None] * count
        self.names: list[str] = []

    def features(self, index: int) -> frozenset[str] | None:
        """The features of one input, by name."""
        bits = self.bits[index]
        return None if bits is None else frozenset(self.names[bit] for bit in members(bits))

    def mask(self, *prefixes: str) -> int:
        """All features whose names begin with one of ``prefixes``."""
        return union([1 << bit for bit, name in enumerate(self.names) if name.startswith(prefixes)])

    def count(self) -> int:
        """Number of features that any input has."""
        return union([bits for bits in self.bits if bits is not None]).bit_count()

    def add(self, other: Reached) -> None:
        """Add the features of the same inputs on another build."""
        shift = len(self.names)
        self.names += other.names
        self.bits = [
            None if mine is None else mine | (theirs or 0) << shift
            for mine, theirs in zip(self.bits, other.bits, strict=True)
        ]

    @classmethod
    def read(cls, files: Iterable[Path], count: int) -> Reached:
        """Features of ``count`` inputs from the files of children, without the unfinished line of a killed child."""
        found = cls(count)
        numbers: dict[str, int] = {}
        for path in files:
            found._read(path, numbers)
        return found

    def _read(self, path: Path, numbers: dict[str, int]) -> None:
        own: list[int] = []
        groups: list[int] = []
        seen: dict[tuple[int, str], int] = {}
        with path.open() as file:
            size, prefix = json.loads(file.readline() or '[0, ""]')
            if not self.names:
                self.names = [f"{prefix} {bit}" for bit in range(size)]
            for line in file:
                if not line.endswith("\n"):
                    break
                index, fresh, group, counters, names = json.loads(line)
                for name in fresh:
                    if name not in numbers:
                        numbers[name] = len(self.names)
                        self.names.append(name)
                    own.append(1 << numbers[name])
                if counters:
                    groups.append(int(counters, 16))
                key = group, names
                if key not in seen:
                    seen[key] = groups[group] | union([own[bit] for bit in members(int(names, 16))])
                self.bits[index] = seen[key]


class Writer:
    """In a child: writes the features of each input, as :class:`Reached` reads them."""

    def __init__(self, path: Path, size: int, prefix: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers: dict[str, int] = {}
        self._groups: dict[bytes, int] = {}
        self._write([size, prefix])

    def _write(self, line: list[Any]) -> None:
        # One unbuffered call: the line survives the death of the process.
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def put(self, index: int, counters: bytes, names: Iterable[str]) -> None:
        """Write the features of input ``index``: ``counters`` as bits, the lowest first, and names."""
        fresh: list[str] = []
        bits = 0
        for name in names:
            number = self._numbers.get(name)
            if number is None:
                number = self._numbers[name] = len(self._numbers)
                fresh.append(name)
            bits |= 1 << number
        group = self._groups.get(counters)
        text = ""
        if group is None:
            group = self._groups[counters] = len(self._groups)
            text = f"{int.from_bytes(counters, 'little'):x}"
        self._write([index, fresh, group, text, f"{bits:x}"])

    def close(self) -> None:
        """No more inputs."""
        os.close(self._file)
