"""Judges a checkpoint as a whole: each file by itself, the shards against the index, quantised weights against each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.checkpoint import quantisation, shards
from harness.checkpoint.group import Checkpoint
from harness.checkpoint.problems import Problem
from harness.checkpoint.reading import Reader, Reading
from harness.format.header import Tensor


@dataclass(slots=True)
class Verdict:
    """The judgement of one checkpoint. ``problems`` has those of its files, of its index and of the whole, in this order."""

    checkpoint: Checkpoint
    readings: list[Reading] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    tensors: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def unread(self) -> bool:
        """Whether something could not be read, so that the verdict is incomplete."""
        return any(problem.kind.unread for problem in self.problems)

    def lines(self) -> Iterator[str]:
        """A line for each problem. One of a single file starts with its path below the checkpoint, unless the name has it."""
        folder = os.path.dirname(self.checkpoint.name)
        of_files = {problem for reading in self.readings for problem in reading.problems}
        for problem in self.problems:
            named = problem in of_files and problem.file != self.checkpoint.name
            yield problem.line(os.path.relpath(problem.file, folder or os.curdir) if named else "")

    def rows(self) -> list[dict[str, Any]]:
        """The verdict as JSON: a row for each file, and one for what is no safetensors file: the index, a folder."""
        rows = [reading.row() for reading in self.readings]
        known = {reading.path for reading in self.readings}
        others = [self.checkpoint.index.path] if self.checkpoint.index is not None else []
        others += [problem.file for problem in self.problems]
        by_file: dict[str, list[Problem]] = {}
        for problem in self.problems:
            by_file.setdefault(problem.file, []).append(problem)
        for path in dict.fromkeys(others):
            if path not in known:
                first = next(iter(by_file.get(path, ())), None)
                spec = {"verdict": "reject", "rule": first.kind.code, "detail": first.what} if first else _ACCEPTED
                rows.append({"file": path, "foreign": None, "spec": spec, "parsers": {}, "agreed": True})
        for row in rows:
            row["checkpoint"] = self.checkpoint.name
            row["problems"] = [
                {"code": one.kind.code, "what": one.what, "advice": one.advice or one.kind.advice}
                for one in by_file.get(row["file"], ())
            ]
        return rows


_ACCEPTED = {"verdict": "accept", "rule": "", "detail": ""}


def judge_all(checkpoints: Sequence[Checkpoint], reader: Reader, progress: Callable[[str], None]) -> Iterator[Verdict]:
    """The verdict of each checkpoint, one after the other: headers are kept for one checkpoint at a time.

    ``progress`` is called with the path of each file before it is read.
    """
    for checkpoint in checkpoints:
        verdict = Verdict(checkpoint)
        readings: dict[str, Reading] = {}
        for path in (*checkpoint.files, *checkpoint.spare):
            # An index may name files that are not there. Others were seen in the folder.
            if path not in readings and (not checkpoint.mapped or os.path.lexists(path)):
                progress(path)
                readings[path] = reader.read(path)
        verdict.readings = list(readings.values())
        verdict.problems = [problem for reading in verdict.readings for problem in reading.problems]
        if not checkpoint.alone:
            verdict.problems += shards.check(checkpoint, readings)
        tensors = shards.tensors(checkpoint, readings)
        verdict.tensors = len(tensors)
        # The rest of a group may be in a file that is missing.
        if not checkpoint.ranks and not shards.partial(checkpoint, readings):
            verdict.problems += _quantised(checkpoint, tensors)
        for reading in verdict.readings:
            reading.header = None
        yield verdict


def _quantised(checkpoint: Checkpoint, tensors: dict[str, Tensor]) -> list[Problem]:
    known: dict[str, Tensor | None] = dict(tensors)
    at = checkpoint.files[0] if checkpoint.files else checkpoint.name
    if checkpoint.index is not None:
        at = checkpoint.index.path
        # A name that no shard has is a problem of its own.
        known = dict.fromkeys(checkpoint.index.weights) | known
    return [Problem(kind, at, what) for kind, what in quantisation.check(known)]


def unreadable_folder(problem: Problem) -> Verdict:
    """The verdict on a folder below a named one that cannot be listed."""
    return Verdict(Checkpoint(problem.file, []), problems=[problem])
