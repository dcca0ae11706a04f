"""Tells which bugs the findings of a campaign are of.

A finding is of the bug N when its signature shows in a fresh process with N alone, in a run that triggers N, and in none with all
bugs off. Signatures that are filed or covered by a verdict do not count: no user would see them as new.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from harness.bench.range.bugs import Bug
from harness.bench.range.counts import Counts, switched
from harness.errors import EngineError, HarnessError
from harness.findings.store import Stored
from harness.parsers.registry import Parser
from harness.replay.replay import Replayer
from harness.targets.known_findings import known
from harness.targets.registry import get_target
from harness.triage import compare_builds
from harness.triage.filing import TRIES, needs_relations

#: Kinds of bugs that may not show in each run.
_UNSTEADY = ("thread", "lifetime")


@dataclass(frozen=True, slots=True)
class Detection:
    """The finding that shows a bug, and the CPU seconds of the campaign when it was stored."""

    number: int
    cpu_seconds: float
    finding: str
    signature: str
    summary: str


class Detector:
    """Judges findings on the build of the range. Use as a context manager: it keeps a process for each target.

    ``switch`` has the bugs of the campaign, ``counts`` are for these replays alone.
    """

    def __init__(self, parser: Parser, bugs: Collection[Bug], switch: str, counts: Counts) -> None:
        self._parser, self._switch, self._counts = parser, switch, counts
        self._waiting = {bug.number: bug for bug in bugs}
        self._used: dict[str, Replayer] = {}
        self._stack = ExitStack()
        self.found: dict[int, Detection] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def all(self) -> bool:
        """Whether every bug is detected."""
        return not self._waiting

    def judge(self, stored: Stored, cpu_seconds: float) -> list[Detection]:
        """The bugs that this finding is the first to show."""
        if known(stored.signature) is not None or not get_target(stored.target).uses_parser:
            return []
        data = stored.data()
        fresh = []
        for number in sorted(self._triggered(stored, data) & self._waiting.keys()):
            if self._shows_alone(stored, data, self._waiting[number]) and not self._shows(stored, data, "", TRIES):
                detection = Detection(number, round(cpu_seconds, 1), stored.id, stored.signature, stored.summary)
                self.found[number] = detection
                del self._waiting[number]
                fresh.append(detection)
        return fresh

    def _triggered(self, stored: Stored, data: bytes) -> frozenset[int]:
        """The bugs that its input triggers, with all of the campaign's on."""
        with switched(self._switch, self._counts):
            used = self._used.get(stored.target)
            if used is None:
                used = self._stack.enter_context(Replayer(self._parser, stored.target, relations=False))
                self._used[stored.target] = used
            self._counts.reset()
            self._run(used, data)
            if not self._counts.triggered() and needs_relations(stored.signature):
                # The other spellings of the file trigger what the file itself does not.
                with Replayer(self._parser, stored.target) as whole:
                    self._run(whole, data)
        return self._counts.triggered()

    def _shows_alone(self, stored: Stored, data: bytes, bug: Bug) -> bool:
        self._counts.reset()
        tries = TRIES if bug.kind in _UNSTEADY else 1
        return self._shows(stored, data, str(bug.number), tries) and bug.number in self._counts.triggered()

    def _shows(self, stored: Stored, data: bytes, switch: str, tries: int) -> bool:
        with switched(switch, self._counts):
            try:
                return compare_builds.shows(self._parser, stored, data, tries)
            except EngineError:
                # An oracle of ours failed, or a process did not start in time: no proof.
                return False

    @staticmethod
    def _run(replayer: Replayer, data: bytes) -> None:
        try:
            replayer.run(data)
        except HarnessError:
            return
