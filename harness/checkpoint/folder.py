"""Finds the safetensors files and indexes below a folder, through links too, without opening any of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.checkpoint.index import SUFFIX, unreadable
from harness.checkpoint.problems import Problem

#: ``model.safetensors.index.json``, and with a variant ``model.safetensors.index.fp16.json``, as transformers and diffusers
#: write it.
INDEX = re.compile(r"(?P<stem>.+)\.safetensors\.index(?:\.(?P<variant>[^.]+))?\.json", re.DOTALL)
#: Entries between two reports of progress.
_STEP = 10_000


@dataclass(slots=True)
class Found:
    """The files below a folder. ``folders`` has their names by folder: those of safetensors files and of indexes, sorted."""

    folders: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: Links to a folder that holds the link itself: their content is not looked at twice.
    circular: list[str] = field(default_factory=list)


def find(root: str, progress: Callable[[int], None], *, deep: bool = True) -> Found:
    """Look through ``root``, and with ``deep`` through the folders below it.

    Hidden folders and files are left out, as loaders leave them out; macOS writes ``._model.safetensors`` beside a file on other
    file systems. ``progress`` is called with the number of entries seen.
    """
    found = Found()
    above = _identities_above(root)
    visited: set[tuple[int, int]] = set()
    waiting = [root]
    seen = 0
    while waiting:
        folder = waiting.pop()
        below: list[str] = []
        names: list[str] = []
        try:
            identity = _identity(folder)
            if folder != root and identity in above:
                found.circular.append(folder)
                continue
            if identity in visited:
                continue
            visited.add(identity)
            with os.scandir(folder) as entries:
                for entry in entries:
                    seen += 1
                    if seen % _STEP == 0:
                        progress(seen)
                    if entry.name.startswith("."):
                        continue
                    if _is_folder(entry):
                        if deep:
                            below.append(entry.path)
                    elif entry.name.endswith(SUFFIX) or INDEX.fullmatch(entry.name):
                        names.append(entry.name)
        except OSError as error:
            found.problems.append(unreadable(folder, error))
        if names:
            found.folders[folder] = sorted(names)
        waiting += sorted(below, reverse=True)
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one. A link that leads nowhere is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _identities_above(folder: str) -> set[tuple[int, int]]:
    """Of a folder and of all folders that hold it."""
    found = set()
    at = os.path.realpath(folder)
    while True:
        found.add(_identity(at))
        if at == os.path.dirname(at):
            return found
        at = os.path.dirname(at)
