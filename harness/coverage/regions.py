"""Whether a small set of inputs still reaches every region that a large one does, and what to add where it does not.

The engine's edges are not llvm-cov's regions: an edge that the optimiser merged with another stands for several. So the
large set is run on a coverage build as well. There each input is known by the counters that it moves, which are features like
others; but some regions have no counter of their own, being a difference of two, and those are looked for at the end.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.coverage.counts import Region
from harness.coverage.features import features_of
from harness.coverage.llvm import reached_regions
from harness.coverage.profiles import profiles, written
from harness.coverage.reached import Reached
from harness.errors import HarnessError
from harness.parsers import registry, toolchain
from harness.parsers.registry import Parser

Regions = frozenset[tuple[str, Region]]


def measuring_build(parser: Parser | None) -> tuple[Parser | None, str]:
    """The coverage build of the same code as ``parser``, or None and why there is none that can be used."""
    if parser is None:
        return None, "the target runs no parser"
    with contextlib.suppress(HarnessError):
        build = registry.find(parser.name, flavour="coverage")
        if build.version != parser.version:
            return None, f"build {build.name} is of {build.version}, not of {parser.version}"
        try:
            for tool in ("llvm-profdata", "llvm-cov"):
                toolchain.llvm_tool(tool)
        except HarnessError as error:
            return None, str(error)
        return build, ""
    return None, f"there is no coverage build of {parser.name} (harness build --coverage makes one)"


def counted(build: Parser, target: str, inputs: Sequence[bytes]) -> tuple[Reached, Regions]:
    """The counters that each input moves on a coverage build, and the regions that all of them together reach."""
    with tempfile.TemporaryDirectory(prefix="harness-regions-") as name:
        folder = Path(name)
        found, _ = features_of(build, target, inputs, folder)
        return found, reached_regions(build, written(folder), folder)


def regions_of(build: Parser, target: str, inputs: Sequence[bytes]) -> Regions:
    """The regions that ``inputs`` together reach. Those that end their process are left out."""
    with tempfile.TemporaryDirectory(prefix="harness-regions-") as name:
        folder = Path(name)
        return reached_regions(build, profiles(build, target, inputs, folder), folder)


def those_that_reach(build: Parser, target: str, inputs: Sequence[bytes], wanted: Regions) -> list[int]:
    """Indices of a few inputs that together reach ``wanted``, as far as any do: halves are tried, and halves of these."""
    found: list[int] = []
    spans = [(0, len(inputs))]
    while spans and wanted:
        first, last = spans.pop()
        here = regions_of(build, target, inputs[first:last]) & wanted
        if not here:
            continue
        if last - first == 1:
            found.append(first)
            wanted -= here
            continue
        middle = (first + last) // 2
        # The first half is tried first; what it has need not be looked for in the second.
        spans += [(middle, last), (first, middle)]
    return sorted(found)
