"""Reads one file with the judge and with every parser, and tells what is wrong with it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness import foreign_files
from harness.checkpoint import problems
from harness.checkpoint.index import unreadable
from harness.checkpoint.problems import Problem
from harness.errors import StartError
from harness.files import open_at_once
from harness.foreign_files import ForeignFile
from harness.format.header import Header
from harness.format.judge import Judgement, judge
from harness.parsers.registry import Parser
from harness.replay.replay import Replay, Replayer
from harness.targets.files.on_disk import OpenFile, judge_file

#: Parsers read files up to this many bytes as a whole, and only the header of larger files.
WHOLE = 16 << 20
TIMEOUT_S = 60.0
#: Memory that a parser may allocate for one file, in MB.
_MEMORY_MB = 4096


@dataclass(slots=True)
class Reading:
    """One file as read. ``header`` is None for a file that is refused or cannot be read; ``size`` is in bytes.

    ``verdict``, ``rule`` and ``detail`` are the judge's. ``foreign`` names the format of a refused file that is another one. A file that cannot be read is rejected with the problem's code as rule.
    """

    path: str
    size: int = 0
    verdict: str = "reject"
    rule: str = ""
    detail: str = ""
    header: Header | None = None
    foreign: ForeignFile | None = None
    results: dict[str, Replay] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def agreed(self) -> bool:
        """Whether every parser read the file as the judge did, or in one of the ways that the format leaves open."""
        return all(_agrees(self.verdict, result) for result in self.results.values())

    def row(self) -> dict[str, Any]:
        """The file as JSON: one row of ``harness check --json``."""
        return {
            "file": self.path,
            "foreign": asdict(self.foreign) if self.foreign else None,
            "spec": {"verdict": self.verdict, "rule": self.rule, "detail": self.detail},
            "parsers": {
                name: {
                    "outcome": result.outcome,
                    "error": result.error,
                    "findings": [judged.finding.summary for judged in result.findings],
                }
                for name, result in self.results.items()
            },
            "agreed": self.agreed,
        }


class Reader:
    """Reads files with ``parsers``. Each has one child process for small files and one for large ones, made at first use."""

    def __init__(self, parsers: Sequence[Parser]) -> None:
        self.parsers = parsers
        #: Why a parser did not start, by its name. It reads no further file.
        self.failed: dict[str, str] = {}
        self._replayers: dict[tuple[str, str], Replayer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for replayer in self._replayers.values():
            replayer.close()

    def read(self, path: str) -> Reading:
        """The file at ``path``; waits for no pipe. Every fault is a problem of the reading."""
        try:
            before = os.stat(path)
            if not stat.S_ISREG(before.st_mode):
                return _unread(Problem(problems.NOT_A_FILE, path, "this is no regular file"))
            judgement, results, foreign = self._judged(path, before.st_size)
            after = os.stat(path)
        except OSError as error:
            return _unread(unreadable(path, error))
        if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
            what = f"the file had {before.st_size:,} bytes, then {after.st_size:,}"
            return _unread(Problem(problems.CHANGED, path, what))
        reading = Reading(path, before.st_size, judgement.verdict, judgement.rule, judgement.detail)
        reading.header = None if judgement.verdict == "reject" else judgement.header
        reading.results = results
        reading.foreign = foreign
        reading.problems = [*_refused(path, judgement, foreign), *_disagreements(path, reading)]
        return reading

    def _judged(self, path: str, size: int) -> tuple[Judgement, dict[str, Replay], ForeignFile | None]:
        if size <= WHOLE:
            with open_at_once(path) as file:
                data = file.read(size)
            judgement = judge(data)
            foreign = foreign_files.identify(data, size) if judgement.verdict == "reject" else None
            return judgement, self._run("deserialize", data), foreign
        judgement, _ = judge_file(path)
        foreign = foreign_files.of_file(Path(path)) if judgement.verdict == "reject" else None
        return judgement, self._run(OpenFile.name, os.fsencode(os.path.realpath(path))), foreign

    def _run(self, target: str, data: bytes) -> dict[str, Replay]:
        results = {}
        for parser in self.parsers:
            if parser.name in self.failed:
                continue
            key = parser.name, target
            if key not in self._replayers:
                self._replayers[key] = Replayer(parser, target, memory_mb=_MEMORY_MB, relations=False)
            try:
                results[parser.name] = self._replayers[key].run(data, TIMEOUT_S)
            except StartError as error:
                self.failed[parser.name] = str(error).splitlines()[-1]
        return results


def _unread(problem: Problem) -> Reading:
    return Reading(problem.file, rule=problem.kind.code, detail=problem.what, problems=[problem])


def _agrees(verdict: str, result: Replay) -> bool:
    open_ways = (verdict,) if verdict in ("accept", "reject") else ("accept", "reject")
    return result.outcome in open_ways and not result.findings


def _refused(path: str, judgement: Judgement, foreign: ForeignFile | None) -> list[Problem]:
    """The problem of a file that the judge does not accept."""
    if judgement.verdict == "accept":
        return []
    kind = problems.REFUSED if judgement.verdict == "reject" else problems.UNSPECIFIED
    return [problems.refused(kind, path, f"{judgement.rule}: {judgement.detail}", foreign)]


def _disagreements(path: str, reading: Reading) -> list[Problem]:
    found = []
    for name, result in reading.results.items():
        if _agrees(reading.verdict, result):
            continue
        kind = problems.DISAGREE if result.outcome in ("accept", "reject") else problems.FAILS
        said = next((judged.finding.summary for judged in result.findings), result.error)
        found.append(Problem(kind, path, f"{name}: {result.outcome}{f', {said}' if said else ''}"))
    return found
