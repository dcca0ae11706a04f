"""Regions that inputs reach on a coverage build, and inputs to add so that a small set reaches all of them.

The optimiser merges edges, so an edge of the engine can stand for several regions of llvm-cov. The counters of a coverage
build are closer: each is a feature. Some regions have no counter, as they are a difference of two. They are searched last.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness.coverage.counts import Region
from harness.coverage.features import features_of
from harness.coverage.llvm import reached_regions, rust_coverage
from harness.coverage.reached import Reached
from harness.coverage.replay import profiles, replay
from harness.errors import HarnessError
from harness.parsers import registry, toolchain
from harness.parsers.registry import Parser

Regions = frozenset[tuple[str, Region]]


class Reach(NamedTuple):
    """Regions of one file: those that ran, and all regions of the functions that were entered."""

    reached: frozenset[Region]
    entered: frozenset[Region]


def measuring_build(parser: Parser | None) -> tuple[Parser | None, str]:
    """The coverage build of the same code as ``parser``, or None and the reason."""
    if parser is None:
        return None, "the target runs no parser"
    with contextlib.suppress(HarnessError):
        build = registry.find(parser.name, flavour="coverage")
        if build.version != parser.version:
            return None, f"build {build.name} is of {build.version}, not of {parser.version}"
        try:
            toolchain.coverage_tools(build.compiler)
        except HarnessError as error:
            return None, str(error)
        return build, ""
    return None, f"there is no coverage build of {parser.name} (harness build --coverage makes one)"


def counted(build: Parser, target: str, inputs: Sequence[bytes]) -> tuple[Reached, Regions]:
    """The counters that each input moves on a coverage build, and the regions that all of them together reach."""
    with tempfile.TemporaryDirectory(prefix="harness-regions-") as name:
        folder = Path(name)
        found, _ = features_of(build, target, inputs, folder)
        return found, reached_regions(build, profiles(folder), folder)


def regions_of(build: Parser, target: str, inputs: Sequence[bytes]) -> Regions:
    """The regions that ``inputs`` together reach, without inputs that end their process."""
    with tempfile.TemporaryDirectory(prefix="harness-regions-") as name:
        folder = Path(name)
        replay(build, target, inputs, folder)
        return reached_regions(build, profiles(folder), folder)


def those_that_reach(build: Parser, target: str, inputs: Sequence[bytes], wanted: Regions) -> list[int]:
    """Indices of a few inputs that together reach ``wanted``, as far as any input does; found by bisection."""
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
        # The first half comes first: its regions need no search in the second.
        spans += [(middle, last), (first, middle)]
    return sorted(found)


def measure(parser: Parser, target: str, inputs: Sequence[bytes], file: str = "tensor.rs") -> Reach:
    """The regions that ``inputs`` reach in the Rust file whose path ends with ``file``, on a coverage build.

    Inputs that end their process are left out. Raises HarnessError when no input runs, or the build has no such file.
    """
    if not inputs:
        return Reach(frozenset(), frozenset())
    with tempfile.TemporaryDirectory(prefix="harness-regions-") as name:
        scratch = Path(name)
        replay(parser, target, inputs, scratch)
        written = profiles(scratch)
        found = rust_coverage(parser, written, scratch, only=file) if written else []
    if not found:
        raise HarnessError(
            f"no input of {target} reached {file} on {parser.name}", hint="harness doctor checks the set-up"
        )
    reached = frozenset(region for region, count in found[0].regions.items() if count)
    return Reach(reached, frozenset(found[0].entered()))
