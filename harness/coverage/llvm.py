"""Rust coverage of the parser's own files, from raw profiles, by the LLVM tools that match its compiler."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.coverage.counts import Region, RustFile, Segment
from harness.coverage.rust_source import Source
from harness.errors import HarnessError
from harness.parsers import toolchain
from harness.parsers.crate_api import extension
from harness.parsers.registry import Parser

# Sources of other crates and of the standard library.
_FOREIGN = re.compile(r"/registry/src/|/rustc/|/rustlib/|/git/checkouts/")
_CODE_REGION = 0


def rust_coverage(parser: Parser, profiles: Sequence[Path], scratch: Path, only: str = "") -> list[RustFile]:
    """The parser's Rust files with the counts of ``profiles``; ``scratch`` is a folder for files.

    ``only`` is the end of the wanted path; default all. Raises HarnessError when the tools are missing or cannot read the
    profiles, or the build's source is gone.
    """
    export = _export(parser, profiles, scratch)
    exported = json.loads(_run(parser, *export))
    # llvm-cov counts lines by rules of its own, which its JSON does not apply.
    lines = line_counts(_run(parser, *export, "-format=lcov").decode())
    return read_export(exported["data"][0], lines, parser.source, only)


def region_counts(parser: Parser, profiles: Sequence[Path], scratch: Path) -> dict[tuple[str, Region], int]:
    """The count of each region of the parser's own files, by path and region. Raises as :func:`rust_coverage`."""
    exported = json.loads(_run(parser, *_export(parser, profiles, scratch)))["data"][0]
    own = _own_files([file["filename"] for file in exported["files"]], parser.source)
    found = _regions(exported["functions"], own)
    return {(own[name], region): count for name, counts in found.items() for region, count in counts.items()}


def reached_regions(parser: Parser, profiles: Sequence[Path], scratch: Path) -> frozenset[tuple[str, Region]]:
    """The regions of the parser's own files that ran, with the path of the file. Raises as :func:`rust_coverage`."""
    counts = region_counts(parser, profiles, scratch) if profiles else {}
    return frozenset(place for place, count in counts.items() if count)


def _export(parser: Parser, profiles: Sequence[Path], scratch: Path) -> tuple[str, ...]:
    """The command that exports all of ``profiles``."""
    merged = scratch / "merged.profdata"
    listing = scratch / "profiles.txt"
    # A command line is too short for all names.
    listing.write_text("".join(f"{path}\n" for path in profiles))
    _run(parser, "llvm-profdata", "merge", "-sparse", "-f", str(listing), "-o", str(merged))
    # The extension for the Rust API has the crate's code once more: a region counts where either of them ran it.
    more = [f"-object={extension.find(parser).path}"] if extension.usable(parser) else []
    return "llvm-cov", "export", str(parser.module), *more, f"-instr-profile={merged}"


def _run(parser: Parser, tool: str, *arguments: str) -> bytes:
    """Run a tool of the LLVM that compiled ``parser``, whatever the present compiler is."""
    program = toolchain.llvm_tool(tool, parser.compiler)
    done = subprocess.run([str(program), *arguments], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise HarnessError(
            f"{tool} failed: {said[-1] if said else done.returncode}",
            hint="harness doctor checks the LLVM version; else build again: harness build --coverage --force",
        )
    return done.stdout


def read_export(export: dict[str, Any], lines: dict[str, dict[int, int]], root: Path, only: str = "") -> list[RustFile]:
    """The files below ``root`` in an llvm-cov JSON export, the core crate's first.

    ``lines`` is the result of :func:`line_counts`; ``only`` is the end of the wanted path, default all. Raises HarnessError
    when no file of the export is below ``root``.
    """
    own = _own_files([file["filename"] for file in export["files"]], root)
    if not own:
        raise HarnessError(f"the sources of the build are not in {root}", hint="harness build --coverage --force")
    regions = _regions(export["functions"], own)
    files = []
    for file in export["files"]:
        path = own.get(file["filename"])
        if path is None or not path.endswith(only):
            continue
        # A segment is [line, column, count, has count, starts a region, is a gap]; gaps are space between code.
        segments = [Segment(s[0], s[1], s[2], bool(s[3] and not s[5])) for s in file["segments"]]
        source = Source((root / path).read_bytes())
        files.append(RustFile(path, source, regions[file["filename"]], lines[file["filename"]], segments))
    return sorted(files, key=lambda file: (file.path.startswith("bindings/"), file.path))


def _regions(functions: Sequence[dict[str, Any]], own: Mapping[str, str]) -> dict[str, dict[Region, int]]:
    """Counts of each region of the files ``own``, summed over all instantiations."""
    regions: dict[str, dict[Region, int]] = {name: {} for name in own}
    for function in functions:
        names = function["filenames"]
        for line, column, end_line, end_column, count, file, _, kind in function["regions"]:
            if kind == _CODE_REGION and names[file] in own:
                counts = regions[names[file]]
                region = Region(line, column, end_line, end_column)
                counts[region] = counts.get(region, 0) + count
    return regions


def _own_files(names: Sequence[str], root: Path) -> dict[str, str]:
    """Names in the profile to paths below ``root``. Profiles name the paths of the machine that compiled."""
    paths = sorted((str(path.relative_to(root)) for path in root.rglob("*.rs")), key=len, reverse=True)
    found = {}
    for name in names:
        path = next((p for p in paths if name.endswith(f"/{p}")), None)
        if path and not _FOREIGN.search(name):
            found[name] = path
    return found


def line_counts(lcov: str) -> dict[str, dict[int, int]]:
    """Count of each line with code, by file, from an LCOV tracefile."""
    found: dict[str, dict[int, int]] = {}
    for record in lcov.splitlines():
        kind, _, rest = record.partition(":")
        if kind == "SF":
            lines = found.setdefault(rest, {})
        elif kind == "DA":
            line, count = rest.split(",")[:2]
            lines[int(line)] = int(count)
    return found
