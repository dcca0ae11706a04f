"""Runs the programs that a campaign keeps again, on the release wheel.

Instrumented builds check overflow and bounds, so they panic first and hide what the wheel does there. A unit that ends hands over
the programs that its workers brought to the corpus. They run in forks of one child, at low priority, the smallest first. When
its target begins, some of the target's own seeds run, and the oracle for leaks judges them: it repeats each program. Findings that
no worker has met are stored with the name of the wheel.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from harness.engine.campaign.figures import finding_entry
from harness.engine.worker.settings import WorkerSettings
from harness.errors import HarnessError
from harness.findings import store
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.replay.replay import Replayer
from harness.replay.rerun import rerun
from harness.targets.base import PROGRAM, Target
from harness.targets.registry import get_target

_POLL = 0.5


class WheelPass:
    """One thread that runs batches of programs. ``live`` is entered while a child may run; ``over`` ends the pass."""

    def __init__(
        self,
        campaign: Path,
        live: Callable[[Replayer], AbstractContextManager[object]],
        over: threading.Event,
        initializer: Callable[[], None],
    ) -> None:
        self._campaign = campaign
        self._live, self._over = live, over
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="wheel", initializer=initializer)
        self._batches: list[Future[None]] = []
        self._found: deque[dict[str, Any]] = deque()
        # Targets whose seeds were handed over.
        self._seeded: set[str] = set()
        self._wheels: dict[str | None, Parser | None] = {}
        #: Numbers of programs that were handed over, and of those that ran.
        self.given = self.ran = 0
        #: Why programs of a parser do not run, in words; "" where they do.
        self.off = ""

    def close(self) -> None:
        """Wait for the running program; the others do not run."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def take_seeds(self, settings: WorkerSettings) -> None:
        """Run some of the target's own seeds and all rare ones, once. The oracle for leaks is asked too. A changed parser may lack a wheel."""
        target = get_target(settings.target)
        if target.name in self._seeded or not _drives(target):
            return
        self._seeded.add(target.name)
        parser = self._wheel(target, settings.parser) or registry.find(settings.parser)
        seeds = [*_one_for_each_call(target), *target.rare_seeds().values()]
        self._submit(parser, settings, lambda: seeds, len(seeds), costly=True)

    def take(self, settings: WorkerSettings, names: Iterable[str]) -> None:
        """Run the programs of these names in the corpus of a target, unless the target or the parser has no wheel."""
        target = get_target(settings.target)
        folder = self._campaign / "corpus" / target.name
        kept = [folder / name for name in sorted(names)]
        if kept and _drives(target) and (wheel := self._wheel(target, settings.parser)):
            # libFuzzer replaces inputs by smaller ones.
            self._submit(wheel, settings, lambda: [path.read_bytes() for path in kept if path.is_file()], len(kept))

    def _submit(
        self, wheel: Parser, settings: WorkerSettings, programs: Callable[[], Iterable[bytes]], count: int, **how: bool
    ) -> None:
        self.given += count
        self._batches.append(self._pool.submit(self._run, wheel, settings, programs, **how))

    def _wheel(self, target: Target, name: str | None) -> Parser | None:
        """The wheel of a parser; None where there is none, where it is the parser itself, or where the target takes none."""
        if name not in self._wheels:
            wheel = None
            if registry.find(name).flavour == "sancov":
                try:
                    wheel = registry.find(name, "wheel")
                except HarnessError as error:
                    self.off = f"kept programs do not run on the release wheel: {error} ({error.hint})"
            self._wheels[name] = wheel
        return self._wheels[name] if "wheel" in target.flavours else None

    def _run(
        self, wheel: Parser, settings: WorkerSettings, programs: Callable[[], Iterable[bytes]], *, costly: bool = False
    ) -> None:
        found = rerun(wheel, settings.target, programs(), live=self._live, over=self._over.is_set, costly=costly)
        for data, findings in found:
            self.ran += 1
            for finding in findings:
                if not (self._campaign / "findings" / finding.id).exists():
                    store.add(self._campaign, finding, data, parser=wheel.name, seed=settings.seed)
                    self._found.append(finding_entry(finding, len(data)))

    def found(self) -> list[dict[str, Any]]:
        """Findings since the last call, as entries for :class:`Progress`."""
        return [self._found.popleft() for _ in range(len(self._found))]

    def failures(self) -> list[BaseException]:
        """Errors of batches that have ended since the last call."""
        ended = [one for one in self._batches if one.done()]
        self._batches = [one for one in self._batches if one not in ended]
        return [error for one in ended if not one.cancelled() and (error := one.exception()) is not None]

    def finish(self, ended: Callable[[], bool], say: Callable[[str], None]) -> None:
        """Wait for the rest, until ``ended``. ``say`` gets the state in words, twice a second."""
        waiting = set(self._batches)
        while waiting and not ended():
            say(f"programs on the release wheel: {self.ran} of {self.given}")
            waiting = wait(waiting, timeout=_POLL).not_done
        for one in waiting:
            one.cancel()
        say("")


def _drives(target: Target) -> bool:
    """Whether the inputs of a target are programs for the parser."""
    return target.input_kind == PROGRAM and target.uses_parser


# Seeds of a target that does not tell its calls.
_FEW = 12


def _one_for_each_call(target: Target) -> list[bytes]:
    """Of the target's own seeds those that make a call which no seed before them makes."""
    chosen: list[bytes] = []
    seen: set[str] = set()
    for data in target.seeds().values():
        names = set(target.call_names(data))
        if names - seen or (not names and len(chosen) < _FEW):
            chosen.append(data)
            seen |= names
    return chosen
