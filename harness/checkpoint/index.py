"""Reads the index of a sharded checkpoint: ``{"metadata": {"total_size": BYTES}, "weight_map": {TENSOR: FILE}}``."""

from __future__ import annotations

import json
import os
import posixpath
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import foreign_files
from harness.checkpoint import problems
from harness.checkpoint.problems import Kind, Problem
from harness.files import open_at_once
from harness.foreign_files import ForeignFile
from harness.report.text import plain

#: The largest index that is read, in bytes. The largest known, of models with 10**12 parameters, have 20 MB.
LIMIT = 64_000_000
SUFFIX = ".safetensors"
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(slots=True)
class Index:
    """An index as read. ``weights`` maps names of tensors to files, relative to the folder and normalised.

    ``weights`` has only entries that stay in the folder. ``sound`` says whether the text could be read as an index.
    """

    path: str
    weights: dict[str, str] = field(default_factory=dict)
    total_size: float | None = None
    sound: bool = False
    problems: list[Problem] = field(default_factory=list)

    def files(self) -> list[str]:
        """The files that it names, each once, in the order of their names."""
        return sorted(set(self.weights.values()))


def read_index(path: str) -> Index:
    """The index at ``path``. Never raises: a fault is a problem of the index."""
    index = Index(path)
    try:
        _read(index)
    except OSError as error:
        index.problems.append(unreadable(path, error))
    return index


def _read(index: Index) -> None:
    """Fill the index from its file. Raises OSError."""
    try:
        _fill(index, _text(index.path))
    except _Fault as fault:
        foreign = _foreign(index.path, fault.kind)
        index.problems.append(problems.refused(fault.kind, index.path, fault.what, foreign))


def unreadable(path: str, error: OSError) -> Problem:
    """The problem of a file or folder that the system does not open."""
    broken = isinstance(error, FileNotFoundError) and os.path.islink(path)
    looped = "Too many levels" in (error.strerror or "")
    kind = problems.BROKEN_LINK if broken or looped else problems.UNREAD
    return Problem(kind, path, "the link leads nowhere" if broken else error.strerror or str(error))


def _foreign(path: str, kind: Kind) -> ForeignFile | None:
    """The other format of a file that is no JSON."""
    found = foreign_files.of_file(Path(path)) if kind is problems.INDEX_JSON else None
    # A JSON text with a fault, and a length of safetensors files, tell nothing about an index.
    return None if found is not None and found.kind in ("index", "json", "truncated") else found


class _Fault(Exception):
    def __init__(self, kind: Kind, what: str) -> None:
        super().__init__(what)
        self.kind = kind
        self.what = what


def _text(path: str) -> str:
    """The text of a regular file within the limit. Never waits for a pipe."""
    with open_at_once(path) as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise _Fault(problems.NOT_A_FILE, "the index is no regular file")
        if before.st_size > LIMIT:
            raise _Fault(problems.INDEX_LARGE, f"the index has {before.st_size:,} bytes, the limit is {LIMIT:,}")
        raw = file.read(LIMIT + 1)
        after = os.fstat(file.fileno())
    if len(raw) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise _Fault(problems.CHANGED, f"{len(raw):,} of {before.st_size:,} bytes were read")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _Fault(problems.INDEX_JSON, f"the index is not UTF-8 at byte {error.start}") from error


class _Objects:
    """Makes objects of the JSON, and keeps the keys that one object has twice."""

    def __init__(self) -> None:
        self.twice: list[str] = []

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    self.twice.append(key)
                seen.add(key)
        return made


def _fill(index: Index, text: str) -> None:
    objects = _Objects()
    try:
        value = json.loads(text, object_pairs_hook=objects)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise _Fault(problems.INDEX_JSON, f"the index is no JSON: {reason}") from error
    if objects.twice:
        what = f"a key is there twice: {problems.names(sorted(set(objects.twice)))}"
        index.problems.append(Problem(problems.INDEX_TWICE, index.path, what))
    weights = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(weights, dict):
        what = (
            "weight_map is no object" if isinstance(value, dict) and "weight_map" in value else "there is no weight_map"
        )
        raise _Fault(problems.INDEX_TYPES, what)
    if not weights:
        raise _Fault(problems.INDEX_TYPES, "weight_map is empty")
    index.sound = True
    _take_weights(index, weights)
    _take_total(index, value.get("metadata"))


def _take_weights(index: Index, weights: dict[str, Any]) -> None:
    seen: dict[str, str] = {}
    wrong: dict[tuple[Kind, str], list[str]] = {}
    for name, file in weights.items():
        if isinstance(file, str):
            if file not in seen:
                seen[file] = _path_fault(file)
            if not seen[file]:
                index.weights[name] = posixpath.normpath(file)
                continue
            kind = problems.INDEX_TYPES if seen[file].endswith("file") else problems.INDEX_PATH
            wrong.setdefault((kind, f"the index gives {plain(file, 100)!r}, {seen[file]}, for"), []).append(name)
        else:
            what = f"the index gives a value of type {type(file).__name__} in place of a file for"
            wrong.setdefault((problems.INDEX_TYPES, what), []).append(name)
    for (kind, what), held in wrong.items():
        index.problems.append(Problem(kind, index.path, f"{what} {problems.names(held)}"))


def _path_fault(file: str) -> str:
    """Why a path in an index cannot be followed, or ""."""
    if file.startswith("/") or _DRIVE.match(file):
        return "an absolute path"
    # A reader on Windows takes the backslash as a separator.
    parts = file.replace("\\", "/")
    if posixpath.normpath(parts).split("/")[0] == "..":
        return "a path that leaves the folder"
    # Where it leads depends on links, and on whether the folder before it is there.
    if ".." in parts.split("/"):
        return "a path with '..'"
    if not file.endswith(SUFFIX) or "\0" in file:
        return "no safetensors file"
    return ""


def _take_total(index: Index, metadata: Any) -> None:
    if metadata is not None and not isinstance(metadata, dict):
        index.problems.append(Problem(problems.INDEX_TYPES, index.path, "metadata is no object"))
        return
    total = (metadata or {}).get("total_size")
    if total is None:
        return
    if isinstance(total, bool) or not isinstance(total, int | float) or not abs(total) < 1e300:
        index.problems.append(Problem(problems.INDEX_TYPES, index.path, f"total_size is {total!r:.40}, no number"))
        return
    index.total_size = total
