"""Tells which bugs the findings of a campaign are of.

A finding is of the bug N when its signature shows in a fresh process with N alone, in a run that triggers N, and in none of
several with all bugs off. Signatures that are filed or covered by a verdict do not count: no user would see them as new.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from harness.bench.range.bugs import Bug
from harness.bench.range.counts import Counts, switched
from harness.errors import EngineError, HarnessError
from harness.findings.signature import parts
from harness.findings.store import Stored
from harness.parsers.registry import Parser
from harness.replay.replay import Replayer
from harness.targets.known_findings import known
from harness.targets.registry import get_target
from harness.triage.filing import TRIES, needs_relations

#: Kinds of findings whose process ended.
_DEATHS = ("crash", "hang", "memory")
#: Processes that are kept, those of the last targets.
_PROCESSES = 3


@dataclass(frozen=True, slots=True)
class Detection:
    """The finding that shows a bug, and the CPU seconds of the campaign when it was stored."""

    number: int
    cpu_seconds: float
    finding: str
    signature: str
    summary: str


class Detector:
    """Judges findings on the build of the range. Use as a context manager: it keeps some processes.

    ``switch`` has the bugs of the campaign, ``counts`` are for these replays alone.
    """

    def __init__(self, parser: Parser, bugs: Collection[Bug], switch: str, counts: Counts) -> None:
        self._parser, self._switch, self._counts = parser, switch, counts
        self._waiting = {bug.number: bug for bug in bugs}
        self._used: dict[str, Replayer] = {}
        self.found: dict[int, Detection] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for used in self._used.values():
            used.close()

    @property
    def all(self) -> bool:
        """Whether every bug is detected."""
        return not self._waiting

    def judge(self, stored: Stored, cpu_seconds: float) -> list[Detection]:
        """The bugs that this finding is the first to show."""
        if known(stored.signature) is not None or not get_target(stored.target).uses_parser:
            return []
        data = stored.data()
        fresh, without = [], None
        for number in sorted(self._triggered(stored, data) & self._waiting.keys()):
            alone = self._alone(stored, data, self._waiting[number])
            if alone and without is None:
                without = self._signatures(stored, data, "", TRIES)
            # Without a run of its own with no bug there is no proof.
            if without is not None and alone - without:
                detection = Detection(number, round(cpu_seconds, 1), stored.id, stored.signature, stored.summary)
                self.found[number] = detection
                del self._waiting[number]
                fresh.append(detection)
        return fresh

    def _triggered(self, stored: Stored, data: bytes) -> frozenset[int]:
        """The bugs that its input triggers, with all of the campaign's on."""
        with switched(self._switch, self._counts):
            used = self._used.pop(stored.target, None) or Replayer(self._parser, stored.target, relations=False)
            self._used[stored.target] = used
            if len(self._used) > _PROCESSES:
                self._used.pop(next(iter(self._used))).close()
            self._counts.reset()
            self._run(used, data)
            if needs_relations(stored.signature) and not self._counts.triggered() & self._waiting.keys():
                # The other spellings of the file trigger what the file itself does not.
                with Replayer(self._parser, stored.target) as whole:
                    self._run(whole, data)
        return self._counts.triggered()

    def _alone(self, stored: Stored, data: bytes, bug: Bug) -> set[str]:
        """Signatures of the finding that show with this bug alone; none where the bug is not triggered.

        The way in which a process dies of foreign memory may change. Any new signature then stands for that of the finding.
        """
        tries = TRIES if bug.unsteady else 1
        dies = parts(stored.signature).kind in _DEATHS
        for _ in range(tries):
            self._counts.reset()
            shown = self._signatures(stored, data, str(bug.number), 1) or set()
            if not dies:
                shown &= {stored.signature}
            shown = {one for one in shown if known(one) is None}
            if shown and bug.number in self._counts.triggered():
                return shown
        return set()

    def _signatures(self, stored: Stored, data: bytes, switch: str, times: int) -> set[str] | None:
        """All signatures in so many fresh processes with these bugs on; None where the harness itself failed."""
        found: set[str] = set()
        with switched(switch, self._counts):
            for _ in range(times):
                try:
                    with Replayer(self._parser, stored.target, relations=needs_relations(stored.signature)) as fresh:
                        found.update(fresh.run(data).signatures)
                except EngineError:
                    return None
        return found

    @staticmethod
    def _run(replayer: Replayer, data: bytes) -> None:
        try:
            replayer.run(data)
        except HarnessError:
            return
