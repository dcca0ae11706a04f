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
from harness.parsers.registry import Parser

# Sources of other people's crates and of the standard library.
_FOREIGN = re.compile(r"/registry/src/|/rustc/|/rustlib/|/git/checkouts/")
_CODE_REGION = 0


def rust_coverage(parser: Parser, profiles: Sequence[Path], scratch: Path, only: str = "") -> list[RustFile]:
    """The parser's Rust files with how often each region ran in all of ``profiles``; ``scratch`` is a folder for files.

    ``only`` is the end of the one path wanted; default all. Raises HarnessError when the tools are missing or do not
    read the profiles, or the build's source is gone.
    """
    export = _export(parser, profiles, scratch)
    exported = json.loads(_run(*export))
    # Lines are counted by llvm-cov's own rules, which the JSON leaves to the reader.
    lines = line_counts(_run(*export, "-format=lcov").decode())
    return read_export(exported["data"][0], lines, parser.source, only)


def reached_regions(parser: Parser, profiles: Sequence[Path], scratch: Path) -> frozenset[tuple[str, Region]]:
    """The regions of the parser's own files that ran in any of ``profiles``, with the path of the file; and nothing else.

    Raises HarnessError as :func:`rust_coverage` does.
    """
    if not profiles:
        return frozenset()
    exported = json.loads(_run(*_export(parser, profiles, scratch)))["data"][0]
    own = _own_files([file["filename"] for file in exported["files"]], parser.source)
    found = _regions(exported["functions"], own)
    return frozenset((own[name], region) for name, counts in found.items() for region, n in counts.items() if n)


def _export(parser: Parser, profiles: Sequence[Path], scratch: Path) -> tuple[str, ...]:
    """The command that shows what is in all of ``profiles``."""
    merged = scratch / "merged.profdata"
    listing = scratch / "profiles.txt"
    # A list in a file: a command line holds only so many names.
    listing.write_text("".join(f"{path}\n" for path in profiles))
    _run("llvm-profdata", "merge", "-sparse", "-f", str(listing), "-o", str(merged))
    return "llvm-cov", "export", str(parser.module), f"-instr-profile={merged}"


def _run(tool: str, *arguments: str) -> bytes:
    done = subprocess.run([str(toolchain.llvm_tool(tool)), *arguments], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise HarnessError(
            f"{tool} failed: {said[-1] if said else done.returncode}",
            hint="the tools must be of the compiler's LLVM version (harness doctor), and the build unchanged",
        )
    return done.stdout


def read_export(export: dict[str, Any], lines: dict[str, dict[int, int]], root: Path, only: str = "") -> list[RustFile]:
    """The files below ``root`` in an llvm-cov JSON export, the core crate's first.

    ``lines`` is what :func:`line_counts` returns; ``only`` is the end of the one path wanted, default all.
    Raises HarnessError when the export names files of the parser and none of them is below ``root``.
    """
    own = _own_files([file["filename"] for file in export["files"]], root)
    if not own:
        raise HarnessError(
            f"the sources of the build are not in {root}",
            hint="build the parser again: harness build --coverage --force",
        )
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
    """How often each region of the files ``own`` ran, all instantiations of a piece of source together."""
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
    """Names in the profile to paths below ``root``; profiles carry the paths of the machine that compiled."""
    paths = sorted((str(path.relative_to(root)) for path in root.rglob("*.rs")), key=len, reverse=True)
    found = {}
    for name in names:
        path = next((p for p in paths if name.endswith(f"/{p}")), None)
        if path and not _FOREIGN.search(name):
            found[name] = path
    return found


def line_counts(lcov: str) -> dict[str, dict[int, int]]:
    """Times each line with code ran, by file, from an LCOV tracefile."""
    found: dict[str, dict[int, int]] = {}
    for record in lcov.splitlines():
        kind, _, rest = record.partition(":")
        if kind == "SF":
            lines = found.setdefault(rest, {})
        elif kind == "DA":
            line, count = rest.split(",")[:2]
            lines[int(line)] = int(count)
    return found
