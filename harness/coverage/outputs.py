"""Writes coverage as a page, as JSON, and as LCOV."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2

from harness.coverage.collect import Coverage
from harness.coverage.counts import PythonFile, RustFile, Tally
from harness.coverage.lines import folded, python_lines, rust_lines
from harness.files import write_atomic

JSON_FORMAT = 1
_GAPS_SHOWN = 25


def write(found: Coverage, folder: Path) -> Path:
    """Write ``index.html``, ``coverage.json`` and ``lcov.info`` to ``folder`` and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "coverage.json", json.dumps(as_json(found), indent=1) + "\n")
    write_atomic(folder / "lcov.info", as_lcov(found))
    page = folder / "index.html"
    write_atomic(page, as_html(found))
    return page


def as_json(found: Coverage) -> dict[str, Any]:
    """All figures. A tally is ``{"covered", "reachable", "total", "percent"}``."""
    return {
        "format": JSON_FORMAT,
        "parser": found.parser.name,
        "version": found.parser.version,
        "targets": {
            name: {
                "executed": reach.replay.executed,
                "killed": len(reach.replay.deaths),
                "regions": reach.regions,
                "regions_of_entered_functions": reach.entered,
                "files": dict(sorted(reach.files.items())),
            }
            for name, reach in found.targets.items()
        },
        "totals": {language: {k: _tally(t) for k, t in sums.items()} for language, sums in found.totals().items()},
        "not_driven": {file.path: file.not_driven for file in found.python if file.not_driven},
        "files": [_rust_entry(f) for f in found.rust] + [_python_entry(f) for f in found.python],
        "warnings": found.warnings,
    }


def _tally(tally: Tally) -> dict[str, float]:
    return {**asdict(tally), "percent": round(tally.percent, 2)}


def _rust_entry(file: RustFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "language": "rust",
        "regions": _tally(file.region_tally),
        "lines": _tally(file.line_tally),
        "functions": _tally(file.function_tally),
        "frameworks": {name: _tally(t) for name, t in file.framework_tallies.items() if name},
        "numpy_and_torch": _tally(file.framework_tallies.get("", Tally())),
        "missing_regions": [list(r) for r, n in sorted(file.regions.items()) if not n and not file.reason(r[:2])],
        "functions_missing": [f.name for f in file.functions if not f.excluded and not f.regions.covered],
        "functions_excluded": {f.name: f.excluded for f in file.functions if f.excluded},
    }


def _python_entry(file: PythonFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "language": "python",
        "lines": _tally(file.line_tally),
        "branches": _tally(file.branch_tally),
        "missing_lines": [] if file.not_driven else sorted(line for line, n in file.lines.items() if not n),
        "missing_branches": [] if file.not_driven else [list(b) for b, n in sorted(file.branches.items()) if not n],
        "not_driven": file.not_driven,
    }


def as_lcov(found: Coverage) -> str:
    """An LCOV tracefile of both languages, without excluded functions and modules that are not driven here."""
    records: list[str] = []
    for rust in found.rust:
        functions = [f for f in rust.functions if not f.excluded]
        lines = {n: count for n, count in rust.lines.items() if not rust.line_reason(n)}
        records += ["TN:", f"SF:{rust.path}"]
        records += [f"FN:{f.line},{f.name}" for f in functions]
        records += [f"FNDA:{f.count},{f.name}" for f in functions]
        records += [f"FNF:{len(functions)}", f"FNH:{sum(f.count > 0 for f in functions)}"]
        records += _line_records(lines)
    for python in (file for file in found.python if not file.not_driven):
        records += ["TN:", f"SF:{python.path}"]
        taken = sorted(python.branches.items())
        # A branch of a line that never ran is "-", not 0.
        records += [f"BRDA:{a},0,{b},{n if python.lines.get(a) else '-'}" for (a, b), n in taken]
        records += [f"BRF:{len(taken)}", f"BRH:{sum(n > 0 for _, n in taken)}"]
        records += _line_records(python.lines)
    return "\n".join(records) + "\n"


def _line_records(lines: dict[int, int]) -> list[str]:
    hit = sum(count > 0 for count in lines.values())
    counts = [f"DA:{n},{count}" for n, count in sorted(lines.items())]
    return [*counts, f"LF:{len(lines)}", f"LH:{hit}", "end_of_record"]


def as_html(found: Coverage) -> str:
    """The page: one file without scripts."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    gaps = [(file, f) for file in found.rust for f in file.functions if not f.excluded]
    gaps = [(file, f) for file, f in gaps if f.regions.covered < f.regions.reachable]
    gaps.sort(key=lambda gap: gap[1].regions.covered - gap[1].regions.reachable)
    return environment.get_template("page.html.j2").render(
        found=found,
        totals=found.totals(),
        rust=[(file, list(folded(rust_lines(file)))) for file in found.rust],
        python=[(file, list(folded(python_lines(file)))) for file in found.python],
        gaps=gaps[:_GAPS_SHOWN],
        more_gaps=max(0, len(gaps) - _GAPS_SHOWN),
        excluded=[(file, f) for file in found.rust for f in file.functions if f.excluded],
    )
