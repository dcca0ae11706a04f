"""Coverage of one file: how often each region, line, function and branch ran."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.coverage.rust_source import Source


class Region(NamedTuple):
    """A region of llvm-cov: its first byte and the byte past the last, counted from 1."""

    start_line: int
    start_column: int
    end_line: int
    end_column: int


class Segment(NamedTuple):
    """The text from ``(line, column)`` on ran ``runs`` times; ``counted`` is False for text that is no code."""

    line: int
    column: int
    runs: int
    counted: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """``covered`` of ``reachable`` of ``total``; reachable through some call of the extension."""

    covered: int = 0
    reachable: int = 0
    total: int = 0

    @classmethod
    def of(cls, counts: Iterable[tuple[int, bool]]) -> Tally:
        """From ``(times run, excluded)`` of each thing counted."""
        pairs = list(counts)
        reachable = [count for count, excluded in pairs if not excluded]
        return cls(sum(count > 0 for count in reachable), len(reachable), len(pairs))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.covered + other.covered, self.reachable + other.reachable, self.total + other.total)

    @property
    def percent(self) -> float:
        """Covered of reachable, in percent; 100 where nothing can be reached."""
        return 100.0 * self.covered / self.reachable if self.reachable else 100.0


@dataclass(frozen=True, slots=True)
class FunctionCoverage:
    """One function: ``count`` of its entries, and its regions. ``excluded`` is the reason why none can be reached."""

    name: str
    line: int
    count: int
    regions: Tally
    excluded: str = ""


@dataclass(slots=True)
class RustFile:
    """One Rust file of the parser; ``path`` is relative to its source tree."""

    path: str
    source: Source
    regions: dict[Region, int]
    lines: dict[int, int]
    segments: list[Segment]
    #: Start of an excluded function to the reason; see :mod:`harness.coverage.exclusions`.
    excluded: dict[tuple[int, int], str] = field(default_factory=dict)

    def reason(self, place: tuple[int, int]) -> str:
        """The reason why the code at ``place`` cannot be reached; "" when it can."""
        if not self.excluded:
            return ""
        function = self.source.function_at(place)
        return self.excluded.get(function.start, "") if function else ""

    def entered(self) -> set[Region]:
        """All regions of the functions that ran, and the regions outside of functions that ran."""
        ran = {region for region, count in self.regions.items() if count}
        functions = {self.source.function_at(region[:2]) for region in ran} - {None}
        return ran | {region for region in self.regions if self.source.function_at(region[:2]) in functions}

    @property
    def region_tally(self) -> Tally:
        """Regions; several instantiations of one piece of source count once, covered if any of them ran."""
        return Tally.of((count, bool(self.reason(r[:2]))) for r, count in self.regions.items())

    @property
    def framework_tallies(self) -> dict[str, Tally]:
        """Regions in match arms of frameworks, by framework; those of no such arm, which numpy and torch may reach, have ""."""
        counts: dict[str, list[tuple[int, bool]]] = {}
        for region, count in self.regions.items():
            framework = self.source.framework_at(region[:2])
            counts.setdefault(framework, []).append((count, bool(self.reason(region[:2]))))
        return {framework: Tally.of(pairs) for framework, pairs in sorted(counts.items())}

    @property
    def line_tally(self) -> Tally:
        """Lines that hold code."""
        return Tally.of((count, bool(self.line_reason(line))) for line, count in self.lines.items())

    def line_reason(self, line: int) -> str:
        """The reason why the first code of the line cannot be reached; "" when it can."""
        text = self.source.lines[line - 1]
        return self.reason((line, len(text) - len(text.lstrip()) + 1))

    @property
    def functions(self) -> list[FunctionCoverage]:
        """Functions that are in the build, in the order of the text."""
        owned: dict[tuple[int, int], list[tuple[Region, int]]] = {}
        for region, count in sorted(self.regions.items()):
            function = self.source.function_at(region[:2])
            if function:
                owned.setdefault(function.start, []).append((region, count))
        found = []
        for function in self.source.functions:
            if regions := owned.get(function.start):
                reason = self.excluded.get(function.start, "")
                tally = Tally.of((count, bool(reason)) for _, count in regions)
                # The first region of a function is its entry.
                found.append(FunctionCoverage(function.name, function.start[0], regions[0][1], tally, reason))
        return found

    @property
    def function_tally(self) -> Tally:
        """Functions that are in the build."""
        return Tally.of((f.regions.covered, bool(f.excluded)) for f in self.functions)


@dataclass(slots=True)
class PythonFile:
    """One Python file of the parser: lines and branches ``(from line, to line)``; a negative line leaves a scope.

    ``not_driven`` is the reason why nothing can run it here ("torch is not installed"); "" when it can be driven.
    """

    path: str
    source: list[str]
    lines: dict[int, int]
    branches: dict[tuple[int, int], int]
    not_driven: str = ""

    @property
    def line_tally(self) -> Tally:
        """Lines that hold a statement; none is reachable in a file that is not driven here."""
        return self._tally(self.lines.values())

    @property
    def branch_tally(self) -> Tally:
        """Ways out of lines that can go on in several places; none is reachable in a file that is not driven here."""
        return self._tally(self.branches.values())

    def _tally(self, counts: Iterable[int]) -> Tally:
        return Tally.of((count, bool(self.not_driven)) for count in counts)
