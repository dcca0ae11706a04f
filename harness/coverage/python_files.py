"""Python coverage of the parser's own files, from coverage.py's data files."""

from __future__ import annotations

import ast
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
from harness.parsers.sources import PACKAGE
from harness.targets.base import not_installed


def python_coverage(parser: Parser, data_files: Sequence[Path], scratch: Path) -> list[PythonFile]:
    """All Python files of the parser by path, also files that no input imported. Counts are 0 or 1.

    Files that import a framework that is not installed are ``not_driven``.
    """
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
        text = path.read_text()
        files.append(
            PythonFile(
                str(path.resolve().relative_to(parser.site.resolve())),
                text.splitlines(),
                {**dict.fromkeys(entry["executed_lines"], 1), **dict.fromkeys(entry["missing_lines"], 0)},
                branches,
                not_driven(text),
            )
        )
    return sorted(files, key=lambda file: file.path)


def not_driven(text: str) -> str:
    """Why a module of the parser with the source ``text`` cannot be imported here, as a clause; "" when it can.

    An import at the top of the module is required. Its imports within functions, conditions and ``try`` are not.
    """
    names: dict[str, None] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Import):
            names |= dict.fromkeys(alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            names[statement.module] = None
    packages = dict.fromkeys(name.split(".")[0] for name in names)
    # The parser is in the folder of its build.
    return not_installed(*(name for name in packages if name != PACKAGE))


def lines_run(parser: Parser, data_files: Sequence[Path]) -> dict[str, int]:
    """Number of lines that ran, by Python file of the parser that is driven here. Raises HarnessError when a data file cannot be read."""
    site = parser.site.resolve()
    found = lines_of_files(parser, data_files)
    return {name: len(lines) for name, lines in found.items() if not not_driven((site / name).read_text())}


def lines_of_files(parser: Parser, data_files: Sequence[Path]) -> dict[str, set[int]]:
    """The lines that ran, by Python file of the parser. Raises HarnessError when a data file cannot be read."""
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
    return ran


def _pair(branch: Sequence[int]) -> tuple[int, int]:
    return branch[0], branch[1]
