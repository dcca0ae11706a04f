"""Python coverage of the parser's own files, from coverage.py's data files."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import coverage
from coverage.exceptions import CoverageException

from harness.coverage.counts import PythonFile
from harness.errors import HarnessError
from harness.parsers.registry import Parser


def python_coverage(parser: Parser, data_files: Sequence[Path], scratch: Path) -> list[PythonFile]:
    """All Python files of the parser by path, also files that no input imported. Counts are 0 or 1."""
    merged = str(scratch / "python-merged")
    watch = coverage.Coverage(data_file=merged, branch=True, config_file=False, source=[str(parser.site)])
    report = scratch / "python.json"
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            watch.combine([str(path) for path in data_files], keep=True)
            watch.json_report(outfile=str(report))
    except CoverageException as error:
        raise HarnessError(f"coverage.py: {error}", hint="build the parser again: harness build --coverage") from error
    files = []
    for name, entry in json.loads(report.read_text())["files"].items():
        path = Path(name)
        branches = dict.fromkeys(map(_pair, entry["executed_branches"]), 1)
        branches |= dict.fromkeys(map(_pair, entry["missing_branches"]), 0)
        files.append(
            PythonFile(
                str(path.resolve().relative_to(parser.site.resolve())),
                path.read_text().splitlines(),
                {**dict.fromkeys(entry["executed_lines"], 1), **dict.fromkeys(entry["missing_lines"], 0)},
                branches,
            )
        )
    return sorted(files, key=lambda file: file.path)


def lines_run(parser: Parser, data_files: Sequence[Path]) -> dict[str, int]:
    """Number of lines that ran, by Python file of the parser. Raises HarnessError when a data file cannot be read."""
    ran: dict[str, set[int]] = {}
    site = parser.site.resolve()
    try:
        for path in data_files:
            data = coverage.CoverageData(basename=str(path))
            data.read()
            for name in data.measured_files():
                # A negative line is an arc that leaves a scope.
                ran.setdefault(str(Path(name).resolve().relative_to(site)), set()).update(
                    line for line in data.lines(name) or () if line > 0
                )
    except CoverageException as error:
        raise HarnessError(f"coverage.py: {error}", hint="build the parser again: harness build --coverage") from error
    return {name: len(lines) for name, lines in ran.items()}


def _pair(branch: Sequence[int]) -> tuple[int, int]:
    return branch[0], branch[1]
