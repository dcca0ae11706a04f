"""Chooses targets for a change of the parser: those whose seeds reach a changed file, as the baseline measured.

Missing figures never exclude a target. A file without figures, or that no target reaches here, calls for all targets. A
target without figures is called for by every file of the parser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from harness import paths
from harness.coverage import baseline
from harness.targets.registry import all_targets

# Files that are neither compiled into the extension nor imported by it.
_IDLE_FOLDERS = frozenset({".github", "attacks", "bench", "benches", "docs", "examples", "fuzz", "test", "tests"})
_IDLE_NAMES = re.compile(
    r".*\.(?:md|rst|pyi|png|svg|ipynb)|LICENSE.*|NOTICE.*|\.git\w+|\.pre-commit-config\.yaml|codecov\.ya?ml"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """``targets`` that a change calls for, in the order given; ``files`` and ``why`` have targets and reason by file."""

    targets: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]]
    why: Mapping[str, str]


def drivable() -> tuple[str, ...]:
    """The names of the targets that drive the parser, and can run here."""
    return tuple(name for name, target in all_targets().items() if target.uses_parser and not target.missing())


def measured() -> Mapping[str, Mapping[str, int]]:
    """The files that each target reaches, as the committed baseline has them; empty where there is none."""
    figures = paths.corpus_dir() / baseline.NAME
    reach: Mapping[str, Mapping[str, int]] = baseline.read(figures)["reach"] if figures.is_file() else {}
    return reach


def choose(changed: Sequence[str], reach: Mapping[str, Mapping[str, int]], targets: Sequence[str]) -> Choice:
    """Of ``targets``, those that the ``changed`` files call for.

    Paths are relative to the parser's checkout or to a folder above it. ``reach`` is the baseline's, by target and file.
    """
    everything = tuple(targets)
    known = {path for row in reach.values() for path in row}
    unmeasured = [name for name in targets if name not in reach]
    files: dict[str, tuple[str, ...]] = {}
    why: dict[str, str] = {}
    for file in dict.fromkeys(changed):
        path = next((one for one in known if f"/{file}".endswith(f"/{one}")), None)
        place = PurePosixPath(file)
        idle = not _IDLE_FOLDERS.isdisjoint(place.parts[:-1]) or _IDLE_NAMES.fullmatch(place.name) is not None
        if path is None and idle:
            files[file], why[file] = (), "no part of the parser"
            continue
        reached = {name for name in targets if path is not None and reach.get(name, {}).get(path)}
        if reached:
            files[file] = tuple(name for name in targets if name in reached or name in unmeasured)
            why[file] = "covered by these, as measured"
        else:
            files[file], why[file] = everything, "covered by none that was measured here: all"
    called = {name for names in files.values() for name in names}
    return Choice(tuple(name for name in targets if name in called), files, why)
