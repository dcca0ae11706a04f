"""The targets whose inputs run the place of a mutant: no other target can kill it.

A coverage build of the same source tells the Rust regions and the Python lines that the inputs of each target run. The oracles'
own runs of an input are not measured, so a mutant that these alone reach counts as a survivor.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.bench.mutants.mutant import Mutant
from harness.bench.runner import Say
from harness.coverage.counts import Region
from harness.coverage.functions import PYTHON, Functions
from harness.coverage.llvm import region_counts
from harness.coverage.python_files import lines_of_files
from harness.coverage.replay import profiles, replay
from harness.errors import HarnessError
from harness.parsers import registry
from harness.parsers.registry import Parser


@dataclass(slots=True)
class Reached:
    """``regions`` are all Rust regions by file, ``ran`` those that a target runs, by target; ``lines`` its Python lines by file."""

    functions: Functions
    regions: dict[str, set[Region]] = field(default_factory=dict)
    ran: dict[str, set[tuple[str, Region]]] = field(default_factory=dict)
    lines: dict[str, dict[str, set[int]]] = field(default_factory=dict)

    def targets(self, mutant: Mutant) -> Collection[str] | None:
        """The targets whose inputs run the place of ``mutant``. None where coverage cannot tell: outside of functions."""
        place = self.functions.at(mutant.file, mutant.line, mutant.column)
        if place is None:
            return None
        if mutant.python:
            file = mutant.file.removeprefix(f"{PYTHON}/")
            around = [line for target in self.lines.values() for line in target.get(file, ()) if line > place.line]
            inside = {line for line in around if self.functions.at(mutant.file, line) == place}
            return [name for name, files in self.lines.items() if inside & files.get(file, set())]
        here = (mutant.line, mutant.column)
        regions = self.regions.get(mutant.file, ())
        if around_it := [one for one in regions if one[:2] <= here < one[2:4]]:
            places = {max(around_it, key=lambda one: (one[:2], (-one[2], -one[3])))}
        else:
            # Regions leave gaps. A function without regions is not compiled.
            places = {one for one in regions if self.functions.at(mutant.file, *one[:2]) == place}
        return [name for name, ran in self.ran.items() if any((mutant.file, one) in ran for one in places)]


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
    found = Reached(Functions(build))
    with tempfile.TemporaryDirectory(prefix="harness-reached-") as name:
        for target, rows in inputs.items():
            folder = Path(name) / target
            folder.mkdir()
            replay(build, target, rows, folder, python=True)
            written = profiles(folder)
            counts = region_counts(build, written, folder) if written else {}
            for path, region in counts:
                found.regions.setdefault(path, set()).add(region)
            found.ran[target] = {place for place, count in counts.items() if count}
            found.lines[target] = lines_of_files(build, sorted(folder.glob("python.*")))
            say(f"  {target}: {len(found.ran[target])} regions")
    return found
