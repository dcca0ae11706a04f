"""Tells which bugs the findings of a peer are of, by what the peer itself can tell.

A finding of the bug N shows in a fresh process with N alone, in a run that triggers N, and not with all bugs off. For a peer with
inputs that end it, to show is to end it again. For ours it is the finding's signature, as in the range.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, Self

from harness.bench.peers.ours import Ours
from harness.bench.peers.peer import EndingPeer, Peer
from harness.bench.range.bugs import Bug
from harness.bench.range.counts import Counts, environment
from harness.bench.range.detect import Detector
from harness.errors import HarnessError
from harness.findings import store
from harness.parsers.registry import Parser
from harness.triage.filing import TRIES

ALL = "all"
# Seconds for a replay, and its exit status here when it takes longer.
_PATIENCE_S = 30.0
_HANGS = 124


class Judge(Protocol):
    """Judges findings. A context manager."""

    def __enter__(self) -> Self:
        """It may keep processes."""

    def __exit__(self, *_: object) -> None:
        """They end."""

    def judge(self, path: Path, cpu_seconds: float, among: Collection[int]) -> list[int]:
        """The numbers of the bugs that this finding is the first to show, ``among`` those that the trial has triggered."""


class Endings:
    """Judges the inputs that ended a peer's program."""

    def __init__(self, peer: EndingPeer, bugs: Collection[Bug], counts: Counts) -> None:
        self._peer, self._waiting, self._counts = peer, {bug.number for bug in bugs}, counts
        # A bug of memory or threads does not show in each run.
        self._tries = {bug.number: TRIES if bug.unsteady else 1 for bug in bugs}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def judge(self, path: Path, cpu_seconds: float, among: Collection[int]) -> list[int]:
        """Replay it with the bugs that were on, then with each that it triggers alone."""
        self._ends(path, ",".join(map(str, sorted(self._waiting))))
        triggered = self._counts.triggered() & self._waiting & set(among)
        if not triggered or self._ends(path, ""):
            return []
        found = [number for number in sorted(triggered) if self._shows(path, number)]
        self._waiting.difference_update(found)
        return found

    def _shows(self, path: Path, number: int) -> bool:
        return any(self._ends(path, str(number)) for _ in range(self._tries[number]))

    def _ends(self, path: Path, switch: str) -> bool:
        """Whether the input ends the program with these bugs on."""
        self._counts.reset()
        variables = {**os.environ, **self._peer.environment(), **environment(switch, self._counts)}
        try:
            done = subprocess.run(
                self._peer.replay(path), env=variables, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=_PATIENCE_S, check=False,
            )  # fmt: skip
            status = done.returncode
        except subprocess.TimeoutExpired:
            status = _HANGS
        return status != 0


class Signatures:
    """Judges the findings of a campaign of ours. Only those of the peer's kinds count."""

    def __init__(self, peer: Ours, parser: Parser, bugs: Collection[Bug], counts: Counts) -> None:
        self._kinds = peer.part.kinds
        self._detector = Detector(parser, bugs, ALL, counts)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._detector)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def judge(self, path: Path, cpu_seconds: float, among: Collection[int]) -> list[int]:
        """As the range judges them."""
        try:
            stored = store.finding_at(path.parent)
        except HarnessError:
            # The campaign was killed between two files of it.
            return []
        if self._detector.all or (self._kinds and stored.kind not in self._kinds):
            return []
        return [one.number for one in self._detector.judge(stored, cpu_seconds) if one.number in among]


def judge_of(peer: Peer, parser: Parser, bugs: Collection[Bug], counts: Counts) -> Endings | Signatures:
    """The judge for the findings of a peer."""
    if isinstance(peer, Ours):
        return Signatures(peer, parser, bugs, counts)
    assert isinstance(peer, EndingPeer)
    return Endings(peer, bugs, counts)
