"""Resolves the arguments of ``harness check``: files, folders, indexes and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.checkpoint.folder import find
from harness.checkpoint.group import Checkpoint, group, is_index
from harness.checkpoint.index import SUFFIX, unreadable
from harness.checkpoint.problems import Problem
from harness.errors import HarnessError
from harness.report.text import plain
from harness.triage import inputs


@dataclass(slots=True)
class Sources:
    """The checkpoints to judge, each once, and the folders below named ones that could not be listed.

    ``circular`` are links to folders that hold them. ``apart`` are checkpoints of which some shards were named, not all: these
    shards are judged one by one.
    """

    checkpoints: list[Checkpoint] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    circular: list[str] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    _known: set[tuple[str, bool]] = field(default_factory=set)

    def add(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Take checkpoints that are not there yet."""
        self.checkpoints += [one for one in checkpoints if (one.name, one.alone) not in self._known]
        self._known |= {(one.name, one.alone) for one in checkpoints}

    def report(self, problems: Sequence[Problem]) -> None:
        """Take problems of folders that were not reported yet."""
        known = {os.path.normpath(problem.file) for problem in self.problems}
        self.problems += [problem for problem in problems if os.path.normpath(problem.file) not in known]


def resolve(paths: Sequence[str], progress: Callable[[int], None]) -> Sources:
    """The checkpoints at ``paths``. All are looked up before any file is read; ``progress`` gets the number of entries seen.

    Raises HarnessError where a name leads to nothing: no file, an empty folder, a pattern without a match.
    """
    sources = Sources()
    for path in dict.fromkeys(one for given in paths for one in _matches(given, sources)):
        if os.path.isdir(path):
            _folder(path, sources, progress)
            continue
        try:
            inputs.size_of(Path(path))
        except HarnessError as error:
            raise HarnessError(plain(str(error)), hint=plain(error.hint)) from error
        if is_index(path):
            found = find(os.path.dirname(path) or ".", progress, deep=False)
            names = {
                os.path.dirname(path): {os.path.basename(path), *found.folders.get(os.path.dirname(path) or ".", ())}
            }
            sources.add(group({folder: sorted(held) for folder, held in names.items()}, only=path))
        else:
            sources.add([Checkpoint(path, [path], alone=True)])
    _leave_out_held(sources)
    _join(sources, progress)
    return sources


def _leave_out_held(sources: Sources) -> None:
    """A file that was named beside its folder or index is judged there."""
    held = {os.path.normpath(file) for one in sources.checkpoints if not one.alone for file in (*one.files, *one.spare)}
    sources.checkpoints = [
        one for one in sources.checkpoints if not one.alone or os.path.normpath(one.name) not in held
    ]


def _join(sources: Sources, progress: Callable[[int], None]) -> None:
    """Make one checkpoint of shards that were named one by one, or by a pattern, where all that are there were named."""
    given = {os.path.normpath(one.name) for one in sources.checkpoints if one.alone}
    folders: dict[str, str] = {}
    for one in sources.checkpoints:
        if one.alone and one.name.endswith(SUFFIX):
            folder = os.path.dirname(one.name)
            folders.setdefault(os.path.normpath(folder), folder)
    for folder in folders.values():
        beside = find(folder or os.curdir, progress, deep=False).folders.get(folder or os.curdir, [])
        for checkpoint in group({folder: beside}):
            files = [os.path.normpath(file) for file in (*checkpoint.files, *checkpoint.spare) if os.path.lexists(file)]
            named = given.intersection(files)
            if len(named) > 1 and len(named) == len(set(files)):
                sources.add([checkpoint])
            elif named and (checkpoint.index is not None or checkpoint.total > 1):
                sources.apart.append(checkpoint.name)
    _leave_out_held(sources)


def _matches(path: str, sources: Sources) -> list[str]:
    """The path itself, or the paths that it stands for as a pattern. ``sources`` gets the folders that could not be searched."""
    if not glob.has_magic(path) or os.path.lexists(path):
        return [path]
    matches = sorted(glob.iglob(path, recursive=True))
    closed = _closed(path)
    sources.report(closed)
    if not matches and not closed:
        raise HarnessError(f"{plain(path)}: no file matches", hint="check the pattern, and quote it for the shell")
    return matches


def _closed(pattern: str) -> list[Problem]:
    """The folders that a pattern leads through and that cannot be searched: glob leaves them out without a word."""
    parts = pattern.split("/")
    folders: dict[str, None] = {}
    for at, part in enumerate(parts):
        if glob.has_magic(part):
            folders[os.sep.join(parts[:at]) + os.sep if at else os.curdir] = None
            if part == "**":
                folders[os.sep.join(parts[: at + 1]) + os.sep] = None
    found = []
    for folder in sorted({os.path.normpath(match) for one in folders for match in _expanded(one)}):
        try:
            os.stat(os.path.join(folder, os.curdir))
            os.scandir(folder).close()
        except PermissionError as error:
            found.append(unreadable(folder, error))
        except OSError:
            # A link in a circle, or a file: the pattern ends there.
            continue
    return found


def _expanded(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True) if glob.has_magic(pattern) else [pattern]


def _folder(path: str, sources: Sources, progress: Callable[[int], None]) -> None:
    found = find(path, progress)
    root = next((problem for problem in found.problems if problem.file == path), None)
    if root is not None:
        raise HarnessError(f"{plain(path)}: {root.what}", hint="name a folder that can be read")
    sources.report(found.problems)
    sources.circular += found.circular
    if not found.folders and not found.problems:
        raise HarnessError(
            f"{plain(path)}: the folder holds no safetensors file", hint="name a folder with *.safetensors files"
        )
    sources.add(group(found.folders))
