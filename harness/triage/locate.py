"""A source place for a finding: the frame of a panic or report, then functions by coverage.

The input of the finding and its neighbours run on a coverage build. A neighbour is one edit away; it passes when it does not
show the finding's signature. :mod:`harness.triage.suspects` compares the two sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.coverage import spectra
from harness.coverage.functions import PYTHON, Functions, Place
from harness.coverage.spectra import Runs
from harness.errors import HarnessError
from harness.findings import crashes
from harness.findings.signature import parts
from harness.parsers import registry, toolchain
from harness.parsers.registry import Parser
from harness.replay.exit_reason import frames
from harness.replay.replay import Replayer
from harness.targets.base import Target
from harness.targets.registry import get_target
from harness.triage import filing
from harness.triage.inputs import Named
from harness.triage.neighbours import neighbours
from harness.triage.suspects import Flags, Spectrum, Suspect, rank, same_coverage

#: Suspects that are shown.
SHOWN = 5
#: Neighbours that run; fewer where an oracle runs each many times.
NEIGHBOURS, COSTLY_NEIGHBOURS = 160, 24
#: Frames of a report that come before the functions ranked by coverage.
_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Located:
    """The suspects, the most suspicious first, of a finding on a coverage build.

    ``failing`` and ``passing`` count the neighbours that ran; ``same`` of the passing ones ran exactly the code that the
    finding's input runs. ``shown_by`` is the build that tells failing from passing.
    """

    parser: Parser
    shown_by: str
    suspects: list[Suspect]
    failing: int
    passing: int
    same: int

    @property
    def differs(self) -> bool:
        """Whether coverage tells the failing input from all passing ones."""
        return self.passing > 0 and not self.same


def locate(named: Named, parser: str | None = None) -> Located:
    """The suspects of a finding; ``parser`` names a coverage build, or the build beside it.

    Raises HarnessError for an input without finding, for a target that cannot run here or whose coverage cannot be measured,
    and for a finding that no build shows.
    """
    target = _measurable(named)
    build = registry.find(parser, flavour="coverage")
    toolchain.coverage_tools(build.compiler)
    relations = filing.needs_relations(named.signature)
    data = named.data()
    inputs = [data, *neighbours(target, data, COSTLY_NEIGHBOURS if relations else NEIGHBOURS)]
    runs = spectra.spectra(build, target.name, inputs, named.signature, relations=relations)
    failing = np.array([named.signature in found for found in runs.signatures])
    shown_by = build.name
    if not failing[0]:
        shown_by, failing = _judged(named, inputs[: len(runs.signatures)], build)
    functions = Functions(build)
    spectrum = spectrum_of(build, runs, functions)
    if not len(spectrum.places) or not spectrum.counts[0].any():
        raise HarnessError(f"{named.id} runs no code of the parser in its own process", hint="see harness explain")
    frames = list(_frames(named, functions))
    ranked = [suspect for suspect in rank(spectrum, failing) if suspect.place not in {frame.place for frame in frames}]
    passing = int((~failing).sum())
    same = same_coverage(spectrum, ~failing)
    return Located(build, shown_by, frames + ranked, int(failing.sum()) - 1, passing, same)


def _measurable(named: Named) -> Target:
    """The target of the finding. Raises HarnessError where coverage of its runs cannot be had."""
    if not named.signature:
        raise HarnessError(f"{named.path} belongs to no finding", hint="name the id of one: harness findings")
    target = get_target(named.target)
    if not target.uses_parser:
        raise HarnessError(f"target {target.name} runs no parser", hint="locate needs a finding about the parser")
    if set(target.flavours) == {"wheel"}:
        raise HarnessError(
            f"target {target.name} runs release wheels alone, which have no coverage",
            hint="harness explain shows the calls",
        )
    if reason := target.missing(named.data()):
        raise HarnessError(f"target {target.name} cannot run: {reason}", hint=target.install())
    return target


def _judged(named: Named, inputs: list[bytes], build: Parser) -> tuple[str, Flags]:
    """Tell failing from passing by another build: some findings show on checked builds alone."""
    kills = parts(named.signature).kind in ("crash", "memory")
    relations = filing.needs_relations(named.signature)
    for other in filing.builds(named.target):
        with Replayer(other, named.target, relations=relations, forks=kills) as replayer:
            if other is None or named.signature not in replayer.run(inputs[0]).signatures:
                continue
            shows = [True, *(named.signature in replayer.run(data).signatures for data in inputs[1:])]
            return other.name, np.array(shows)
    raise HarnessError(
        f"{named.id} shows neither on {build.name} nor on another build", hint=f"harness repro {named.id}"
    )


def spectrum_of(build: Parser, runs: Runs, functions: Functions) -> Spectrum:
    """The elements of ``runs`` that lie in functions: regions of Rust and lines of Python that ran in some run."""
    regions, rust = spectra.regions(build, runs)
    found = [
        (functions.at(path, region.start_line, region.start_column), region.start_line) for path, region in regions
    ]
    counts, raised = [rust], [np.zeros_like(rust)]
    ends = [*runs.files, ("", runs.lines.shape[1])]
    for (path, first), (_, end) in pairwise(ends):
        own = [line for line in range(1, end - first) if runs.lines[:, first + line].any()]
        found += [(functions.at(f"{PYTHON}/{path}", line), line) for line in own]
        columns = [first + line for line in own]
        counts.append(runs.lines[:, columns])
        raised.append(runs.raised[:, columns])
    inside = [at for at, (place, _) in enumerate(found) if place is not None]
    places = [place for place, _ in found if place is not None]
    lines = [found[at][1] for at in inside]
    return Spectrum(places, lines, np.hstack(counts)[:, inside], np.hstack(raised)[:, inside])


def _frames(named: Named, functions: Functions) -> Iterator[Suspect]:
    """The functions of the frames that the finding was filed with: of a sanitizer's report, or of a panic."""
    folder = named.path.parent
    if not (folder / crashes.ABOUT).is_file():
        return
    report = folder / crashes.REPORT
    text = report.read_text(encoding="utf-8") if report.is_file() else ""
    met: dict[Place, None] = {}
    for found in frames(text) or filter(None, [crashes.load(folder.resolve()).place]):
        file, line = found.rsplit(":", 1)
        place = functions.at(file, int(line))
        if place is not None and place not in met and len(met) < _FRAMES:
            met[place] = None
            yield Suspect(place, 1.0, int(line), "frame")
