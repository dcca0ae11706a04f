"""Coverage of a parser from inputs: replay, then the files of both languages."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.coverage import exclusions
from harness.coverage.batches import Replayed
from harness.coverage.counts import PythonFile, RustFile, Tally
from harness.coverage.llvm import rust_coverage
from harness.coverage.python_files import lines_run, python_coverage
from harness.coverage.replay import profiles, replay
from harness.errors import HarnessError
from harness.parsers.registry import Parser
from harness.targets.registry import get_target


@dataclass(frozen=True, slots=True)
class TargetReach:
    """One target: its replay, the Rust ``regions`` it reached, and all regions of the functions it ``entered``.

    ``files`` counts Rust regions and Python lines by file, without files that did not run.
    """

    replay: Replayed
    regions: int
    entered: int
    files: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Coverage:
    """Coverage of a parser, by target and in all."""

    parser: Parser
    targets: dict[str, TargetReach]
    rust: list[RustFile]
    python: list[PythonFile]
    warnings: list[str] = field(default_factory=list)

    def totals(self) -> dict[str, dict[str, Tally]]:
        """Sums by language and unit."""
        zero = Tally()
        return {
            "rust": {
                "regions": sum((f.region_tally for f in self.rust), zero),
                "lines": sum((f.line_tally for f in self.rust), zero),
                "functions": sum((f.function_tally for f in self.rust), zero),
            },
            "python": {
                "lines": sum((f.line_tally for f in self.python), zero),
                "branches": sum((f.branch_tally for f in self.python), zero),
            },
        }


def collect(parser: Parser, inputs: Mapping[str, Sequence[bytes]]) -> Coverage:
    """Replay ``inputs`` (by target) on a coverage build. Raises HarnessError when ``parser`` is none, or nothing runs."""
    if parser.flavour != "coverage":
        raise HarnessError(f"parser {parser.name} is no coverage build", hint="harness build --coverage makes one")
    for target in inputs:
        if not get_target(target).uses_parser:
            raise HarnessError(f"target {target} does not run the parser", hint="choose another target")
    with tempfile.TemporaryDirectory(prefix="harness-coverage-") as name:
        scratch = Path(name)
        replayed = {}
        for target, data in inputs.items():
            (scratch / target).mkdir()
            replayed[target] = replay(parser, target, data, scratch / target, python=True)
        return measured(parser, replayed, scratch)


def measured(parser: Parser, replayed: Mapping[str, Replayed], scratch: Path) -> Coverage:
    """Coverage from what replays left in a folder below ``scratch`` for each target.

    Without data of coverage.py it has no Python files. Raises HarnessError when nothing ran.
    """
    if not (written := profiles(scratch)):
        raise HarnessError("no input was replayed", hint="harness corpus stats lists the targets with seeds")
    targets = {target: _target_reach(parser, one, scratch / target) for target, one in replayed.items()}
    rust = rust_coverage(parser, written, scratch)
    watched = sorted(scratch.glob("*/python.*"))
    python = python_coverage(parser, watched, scratch) if watched else []
    excluded, releases = exclusions.load()
    known = parser.version in releases
    warnings = exclusions.apply(rust, excluded, exact=known)
    if not known:
        listed = ", ".join(releases)
        warnings.insert(
            0, f"the list of unreachable functions was made on {listed}; for {parser.version} it is a guess"
        )
    return Coverage(parser, targets, rust, python, warnings)


def _target_reach(parser: Parser, replayed: Replayed, folder: Path) -> TargetReach:
    written = profiles(folder)
    files = rust_coverage(parser, written, folder) if written else []
    by_file = {file.path: sum(count > 0 for count in file.regions.values()) for file in files}
    return TargetReach(
        replayed,
        sum(by_file.values()),
        sum(len(file.entered()) for file in files),
        {path: n for path, n in (by_file | lines_run(parser, sorted(folder.glob("python.*")))).items() if n},
    )
