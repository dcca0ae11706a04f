"""What each of many inputs reaches, as bits: some thousands of features of ten thousand inputs fit into some megabytes.

The children that run the inputs number the features they meet each in their own way, and write down lines of JSON: first
``[size, prefix]``, where bits below ``size`` are counters called ``prefix N``; then for each input ``[index, new names, group,
counters, names]``. A set of counters is written in full, in hexadecimal, with the first input that has it: its group is the
number of that set. ``names`` is the set of the names met so far, in hexadecimal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.coverage.cover import members, union

#: How the names of features begin that stand for code, as opposed to what a run means: regions of the source first.
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
        """How many features any input has."""
        return union([bits for bits in self.bits if bits is not None]).bit_count()

    def add(self, other: Reached) -> None:
        """Take in what another build reached with the same inputs; those that it does not know have nothing there."""
        shift = len(self.names)
        self.names += other.names
        self.bits = [
            None if mine is None else mine | (theirs or 0) << shift
            for mine, theirs in zip(self.bits, other.bits, strict=True)
        ]

    @classmethod
    def read(cls, files: Iterable[Path], count: int) -> Reached:
        """What children wrote to ``files`` of ``count`` inputs. A line that a killed child did not finish counts for nothing."""
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
    """In a child: writes what each input reaches, as :class:`Reached` reads it."""

    def __init__(self, path: Path, size: int, prefix: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers: dict[str, int] = {}
        self._groups: dict[bytes, int] = {}
        self._write([size, prefix])

    def _write(self, line: list[Any]) -> None:
        # One call, at once: whatever kills the process later, the line is there.
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def put(self, index: int, counters: bytes, names: Iterable[str]) -> None:
        """Note what input ``index`` reached: ``counters`` as bits, the lowest first, and names."""
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
