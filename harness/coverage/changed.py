"""Which targets a change of the parser calls for: those whose seeds reach a file that it touches, as measured.

What each target reaches of each file stands in ``corpus/coverage.toml`` (:mod:`harness.coverage.baseline`). What nobody
measured is never a reason to leave a target out: a file that is not in the table, or that no target that can run here
reaches, calls for all of them, and a target without figures is called for by every file that counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

# What is neither compiled into the extension nor imported by it.
_IDLE_FOLDERS = frozenset({".github", "attacks", "bench", "benches", "docs", "examples", "fuzz", "test", "tests"})
_IDLE_NAMES = re.compile(
    r".*\.(?:md|rst|pyi|png|svg|ipynb)|LICENSE.*|NOTICE.*|\.git\w+|\.pre-commit-config\.yaml|codecov\.ya?ml"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """``targets`` that a change calls for, in the order they were given; empty when it cannot change what the parser does.

    ``files`` has for each changed file the targets that it calls for, and ``why`` the reason in words.
    """

    targets: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]]
    why: Mapping[str, str]


def choose(changed: Sequence[str], reach: Mapping[str, Mapping[str, int]], targets: Sequence[str]) -> Choice:
    """Of ``targets``, those that the ``changed`` files call for.

    Paths are relative to the parser's checkout or to any folder above it, with slashes. ``reach`` is what the baseline says,
    by target and file.
    """
    everything = tuple(targets)
    known = {path for row in reach.values() for path in row}
    unmeasured = [name for name in targets if name not in reach]
    files: dict[str, tuple[str, ...]] = {}
    why: dict[str, str] = {}
    for file in dict.fromkeys(changed):
        path = next((one for one in known if f"/{file}".endswith(f"/{one}")), None)
        if path is None and _idle(file):
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


def _idle(file: str) -> bool:
    path = PurePosixPath(file)
    return not _IDLE_FOLDERS.isdisjoint(path.parts[:-1]) or _IDLE_NAMES.fullmatch(path.name) is not None
