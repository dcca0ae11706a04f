"""The inputs that run the place of a mutant: no other can kill it.

A coverage build of the same source tells the Rust regions and the Python lines that each input runs, with the runs that oracles
make of it. Only those of the costly oracles are not measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.bench.mutants.mutant import Mutant
from harness.bench.runner import Say
from harness.coverage import spectra
from harness.coverage.counts import Region
from harness.coverage.functions import PYTHON, Functions, Place
from harness.errors import HarnessError
from harness.parsers import registry
from harness.parsers.registry import Parser

Flags = NDArray[np.bool_]
# Seconds for the inputs of a target.
_BUDGET_S = 900.0


class Ran(NamedTuple):
    """The code that each input of a target runs: a row per input, in two tables.

    ``regions`` tells of each of the ``places``, a path and a Rust region. ``lines`` tells of each Python line; ``first`` has the
    column of line 0 of each file.
    """

    places: list[tuple[str, Region]]
    regions: Flags
    first: dict[str, int]
    lines: Flags


class Reached:
    """The code that the inputs of each target run. One that was not measured, for want of time, counts as running everything."""

    def __init__(self, functions: Functions, ran: Mapping[str, Ran]) -> None:
        self._functions = functions
        self._ran = ran

    def inputs(self, mutant: Mutant, *, function: bool = False) -> dict[str, Flags] | None:
        """By target, which inputs run the place of ``mutant``; targets of which none does are left out.

        With ``function`` it is enough that an input runs its function. None where coverage cannot tell: outside of functions.
        """
        place = self._functions.at(mutant.file, mutant.line, mutant.column)
        if place is None:
            return None
        found = {}
        for target, ran in self._ran.items():
            table, columns = (
                self._in_python(ran, place, mutant, function)
                if mutant.python
                else self._in_rust(ran, place, mutant, function)
            )
            flags: Flags = np.any(table[:, columns], axis=1)
            if flags.any():
                found[target] = flags
        return found

    def _in_python(self, ran: Ran, place: Place, mutant: Mutant, function: bool) -> tuple[Flags, list[int]]:
        """The first line of the statement, or the lines of the function, whose own first line runs where it is defined."""
        name = place.file.removeprefix(f"{PYTHON}/")
        first = ran.first[name]
        statement = self._functions.statement(place.file, mutant.line)
        if statement > place.line and not function:
            return ran.lines, [first + statement]
        end = min((at for at in ran.first.values() if at > first), default=ran.lines.shape[1])
        inside = range(place.line + 1, end - first)
        return ran.lines, [first + line for line in inside if self._functions.at(place.file, line) == place]

    def _in_rust(self, ran: Ran, place: Place, mutant: Mutant, function: bool) -> tuple[Flags, list[int]]:
        """The innermost region around the mutant, or all of the function where regions leave a gap, or if asked."""
        here = (mutant.line, mutant.column)
        own = [at for at, (file, _) in enumerate(ran.places) if file == mutant.file]
        around = [at for at in own if ran.places[at][1][:2] <= here < ran.places[at][1][2:4]]
        if around and not function:
            return ran.regions, [max(around, key=lambda at: _inner(ran.places[at][1]))]
        # A function without regions is not compiled.
        inside = [at for at in own if self._functions.at(mutant.file, *ran.places[at][1][:2]) == place]
        return ran.regions, inside


def _inner(region: Region) -> tuple[tuple[int, ...], tuple[int, int]]:
    return region[:2], (-region[2], -region[3])


def coverage_build(parser: Parser) -> Parser:
    """The coverage build of the same release. Raises HarnessError where there is none."""
    build = registry.find(None, flavour="coverage")
    if build.version != parser.version:
        raise HarnessError(
            f"the coverage build {build.name} is of {build.version}, and {parser.name} of {parser.version}",
            hint=f"harness build --coverage --release {parser.version}",
        )
    return build


def measure(build: Parser, inputs: Mapping[str, Sequence[bytes]], say: Say) -> Reached:
    """Run ``inputs``, by target, on a coverage build. Raises HarnessError where its coverage cannot be read."""

    def ran(target: str) -> Ran:
        runs = spectra.spectra(build, target, inputs[target], oracles=True, budget_s=_BUDGET_S)
        # Each input needs the code that runs when the module is loaded, too.
        every = dataclasses.replace(runs, rust=np.vstack([runs.rust, runs.loaded]))
        places, counts = spectra.regions(build, every)
        regions: Flags = (counts[:-1] > 0) | (counts[-1] > 0)
        missing = [(0, len(inputs[target]) - len(regions)), (0, 0)]
        say(f"  {target}: {int(regions.any(axis=0).sum())} regions by {len(regions)} inputs")
        return Ran(
            places,
            np.pad(regions, missing, constant_values=True),
            dict(runs.files),
            np.pad(runs.lines > 0, missing, constant_values=True),
        )

    return Reached(Functions(build), {target: ran(target) for target in inputs})
