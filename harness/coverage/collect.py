"""From inputs to coverage of a parser: replay, then both languages' files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.coverage import batches, exclusions
from harness.coverage.batches import Replayed
from harness.coverage.counts import PythonFile, RustFile, Tally
from harness.coverage.llvm import rust_coverage
from harness.coverage.python_files import lines_run, python_coverage
from harness.errors import HarnessError
from harness.parsers.registry import Parser
from harness.targets.registry import get_target


@dataclass(frozen=True, slots=True)
class TargetReach:
    """What one target's inputs reached: the replay, and Rust ``regions`` of all in the functions it ``entered``.

    ``files`` has it by file: Rust regions, Python lines. A file that nothing ran of is not in it.
    """

    replay: Replayed
    regions: int
    entered: int
    files: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Coverage:
    """What inputs reached in a parser, by target, then in all."""

    parser: Parser
    targets: dict[str, TargetReach]
    rust: list[RustFile]
    python: list[PythonFile]
    warnings: list[str] = field(default_factory=list)

    def totals(self) -> dict[str, dict[str, Tally]]:
        """Sums by language and by what is counted."""
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
        raise HarnessError(
            f"parser {parser.name} measures no coverage", hint="harness build --coverage makes one that does"
        )
    with tempfile.TemporaryDirectory(prefix="harness-coverage-") as name:
        scratch = Path(name)
        targets = {target: _target_reach(parser, target, data, scratch / target) for target, data in inputs.items()}
        profiles = _profiles(scratch)
        if not profiles:
            raise HarnessError("no input was replayed", hint="harness corpus stats shows which targets have seeds")
        rust = rust_coverage(parser, profiles, scratch)
        python = python_coverage(parser, sorted(scratch.glob("*/python.*")), scratch)
    excluded, releases = exclusions.load()
    known = parser.version in releases
    warnings = exclusions.apply(rust, excluded, exact=known)
    if not known:
        warnings.insert(
            0, f"what cannot be reached was established on {', '.join(releases)}; for {parser.version} it is a guess"
        )
    return Coverage(parser, targets, rust, python, warnings)


def _profiles(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.profraw") if path.stat().st_size)


def _target_reach(parser: Parser, target: str, inputs: Sequence[bytes], folder: Path) -> TargetReach:
    replayed = replay(parser, target, inputs, folder)
    profiles = _profiles(folder)
    files = rust_coverage(parser, profiles, folder) if profiles else []
    by_file = {file.path: sum(count > 0 for count in file.regions.values()) for file in files}
    return TargetReach(
        replayed,
        sum(by_file.values()),
        sum(len(file.entered()) for file in files),
        {path: n for path, n in (by_file | lines_run(parser, sorted(folder.glob("python.*")))).items() if n},
    )


def replay(parser: Parser, target: str, inputs: Sequence[bytes], folder: Path) -> Replayed:
    """Replay ``inputs`` on one target, leaving profiles in ``folder``: ``*.profraw`` and coverage.py's ``python.*``."""
    if not get_target(target).uses_parser:
        raise HarnessError(f"target {target} does not run the parser", hint="it has no coverage of it to show")
    folder.mkdir(parents=True)
    return batches.run(
        "harness.coverage.replay",
        inputs,
        {"parser": parser.name, "target": target, "python": str(folder / "python")},
        lambda process: {"LLVM_PROFILE_FILE": str(folder / f"{process}.profraw")},
    )
