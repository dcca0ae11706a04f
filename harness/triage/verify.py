"""Tells which defects a change of the parser mends: runs the findings of all records on the parser before and after it."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import paths
from harness.findings import crashes, defects
from harness.findings.crashes import Crash
from harness.findings.defects import Defect
from harness.findings.signature import parts
from harness.parsers import sources, upstream_tests
from harness.parsers.registry import Parser
from harness.parsers.upstream_tests import Comparison, Results
from harness.replay.replay import Replayer, patience
from harness.targets import known_findings
from harness.targets.registry import get_target
from harness.triage.filing import TRIES, needs_relations

#: The verdicts on a finding, and on a defect. A defect has the first of its findings' in this order.
STILL, DIFFERENT, MENDED, CANNOT = "still there", "shows differently", "mended", "cannot tell"
VERDICTS = (STILL, DIFFERENT, MENDED, CANNOT)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pair:
    """The parser before and after a change: instrumented builds of both, and plain ones."""

    before: Parser
    before_plain: Parser
    after: Parser
    after_plain: Parser

    def of(self, flavour: str) -> tuple[Parser, Parser] | None:
        """Both builds of a flavour; None where the flavour was not built."""
        both = {"sancov": (self.before, self.after), "wheel": (self.before_plain, self.after_plain)}
        return both.get(flavour)


@dataclass(frozen=True, slots=True)
class Told:
    """The verdict on one finding, and the reason for it in words, or ""."""

    finding: Crash
    verdict: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one defect, with those on its findings. ``named``: the change is to mend it."""

    defect: Defect
    told: tuple[Told, ...]
    named: bool = False

    @property
    def verdict(self) -> str:
        """The first of :data:`VERDICTS` that one of its findings has."""
        return next(word for word in VERDICTS if self.count(word))

    def count(self, verdict: str) -> int:
        """The number of its findings with that verdict."""
        return sum(one.verdict == verdict for one in self.told)


@dataclass(frozen=True, slots=True)
class Verification:
    """The whole result. ``new`` are findings of the campaign that only the change shows: id, signature and summary."""

    pair: Pair
    defects: tuple[Judged, ...]
    tests: tuple[Comparison, ...] = ()
    new: tuple[tuple[str, str, str], ...] = ()
    campaign: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def faults(self) -> list[str]:
        """The reasons against the change, in words; none where it can go in."""
        found = [f"{one.defect.name}: {one.verdict}" for one in self.defects if one.named and one.verdict != MENDED]
        found += [
            f"{one.defect.name} shows differently" for one in self.defects if not one.named and one.count(DIFFERENT)
        ]
        found += [f"{name or each.suite}: {why}" for each in self.tests for name, why in each.broken.items()]
        found += [f"target {name} was left out: {why}" for name, why in self.campaign.get("left_out", {}).items()]
        return found + [f"new finding {name}" for name, _, _ in self.new]


class Live:
    """The processes that run now, so that a Ctrl-C in the main thread ends those of the others."""

    def __init__(self) -> None:
        self._kills: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self.stopped = False

    @contextlib.contextmanager
    def __call__(self, kill: Callable[[], None]) -> Iterator[None]:
        """Know of a process for as long as the context is open."""
        with self._lock:
            self._kills.append(kill)
        try:
            if self.stopped:
                kill()
            yield
        finally:
            with self._lock:
                self._kills.remove(kill)

    def stop(self) -> None:
        """Kill all of them, and those to come."""
        self.stopped = True
        with self._lock:
            for kill in self._kills:
                kill()


def verify(pair: Pair, named: Sequence[Defect], say: Say, *, tests: bool = True) -> Verification:
    """Run the findings of all records, and upstream's tests, on both sides of ``pair``; ``named`` are to be mended."""
    records = defects.defects()
    filed = {crash.id: crash for crash in crashes.crashes()}
    owners = defects.owners(records)
    groups: dict[str, list[Crash]] = {}
    for finding in owners:
        groups.setdefault(filed[finding].target, []).append(filed[finding])
    live, told = Live(), dict[str, Told]()
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        suites = [pool.submit(_suite, suite, pair, live, say) for suite in upstream_tests.SUITES if tests]
        # The largest group first: the others fill the time beside it.
        largest = sorted(groups.values(), key=len, reverse=True)
        for number, done in enumerate([pool.submit(_group, pair, group, live, owners) for group in largest], 1):
            told |= {one.finding.id: one for one in done.result()}
            say(f"findings of {number} of {len(largest)} targets were run")
        compared = tuple(suite.result() for suite in suites)
    finally:
        live.stop()
        pool.shutdown(wait=True, cancel_futures=True)
    names = {record.name for record in named}
    judged = (Judged(one, tuple(told[name] for name in one.findings), one.name in names) for one in records)
    return Verification(pair, tuple(judged), compared)


def seen_again(judged: Sequence[Judged], signatures: Sequence[str], campaign: Path) -> tuple[Judged, ...]:
    """``judged``, where a mended finding that a campaign on the changed parser met is still there."""
    filed = filter(None, map(known_findings.filed, signatures))
    met = {crash.id for crash in filed if known_findings.names_error(crash.aspect)}
    why = f"another input shows it: {campaign}"

    def looked(one: Told) -> Told:
        return replace(one, verdict=STILL, why=why) if one.verdict == MENDED and one.finding.id in met else one

    return tuple(replace(one, told=tuple(map(looked, one.told))) for one in judged)


# -- findings -------------------------------------------------------------------------------------------------


def _group(pair: Pair, group: Sequence[Crash], live: Live, owners: dict[str, Defect]) -> list[Told]:
    """The verdicts on the findings of one target."""
    found: dict[str, Told] = {}
    target = get_target(group[0].target)
    for crash in group:
        reason = known_findings.missing(crash)
        if reason := reason or ("" if target.uses_parser else "it does not run the parser"):
            found[crash.id] = Told(crash, CANNOT, reason)
    for flavour in ("sancov", "wheel", "address"):
        shown = [crash for crash in group if crash.id not in found and crash.flavour == flavour]
        if not shown:
            continue
        if (both := pair.of(flavour)) is None:
            found |= {crash.id: Told(crash, CANNOT, f"it shows only on {flavour} builds") for crash in shown}
            continue
        before, after = (_Side(build, shown, live) for build in both)
        with before, after:
            for crash in shown:
                if not live.stopped:
                    found[crash.id] = _tell(crash, before, after, owners[crash.id])
    return list(found.values())


class _Side:
    """One build, and the process that it runs all findings of a group in."""

    def __init__(self, build: Parser, group: Sequence[Crash], live: Live) -> None:
        self.build = build
        self._live = live
        kinds = {parts(crash.signature).kind for crash in group}
        self._make = functools.partial(Replayer, build, group[0].target)
        self._used = self._make(
            relations=any(needs_relations(crash.signature) for crash in group),
            forks=not kinds.isdisjoint(("crash", "memory")),
        )
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> None:
        self._stack.enter_context(self._live(self._used.kill))
        self._stack.enter_context(self._used)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def shows(self, crash: Crash, used: int, fresh: int) -> tuple[int, set[str]]:
        """The number of the run that shows it, 0 for none; and all signatures that were seen.

        At most ``used`` runs in the used process come first, then ``fresh`` runs, each in a process of its own.
        """
        seconds = patience(get_target(crash.target), crash.kind)
        seen: set[str] = set()
        for number in range(1, used + fresh + 1):
            if self._live.stopped:
                break
            if number <= used:
                seen |= set(self._used.run(crash.data(), seconds).signatures)
            else:
                with self._make(relations=needs_relations(crash.signature)) as one, self._live(one.kill):
                    seen |= set(one.run(crash.data(), seconds).signatures)
            if crash.signature in seen:
                return number, seen
        return 0, seen


def _tell(crash: Crash, before: _Side, after: _Side, owner: Defect) -> Told:
    number, seen = before.shows(crash, 1, TRIES)
    if not number:
        return Told(crash, CANNOT, f"it does not show on {before.build.name}")
    # A new process costs seconds: only a finding that needed one before the change gets one after it.
    still, now = after.shows(crash, TRIES, 0) if number == 1 else after.shows(crash, 1, TRIES)
    if still:
        return Told(crash, STILL)
    # Another defect that this one hid is not a form of it.
    other = sorted(sig for sig in now - seen if _counts(sig, owner))
    return Told(crash, DIFFERENT, f"now {', '.join(other)}") if other else Told(crash, MENDED)


def _counts(sig: str, owner: Defect) -> bool:
    filed = known_findings.filed(sig)
    return known_findings.known(sig) is None or (filed is not None and filed.id in owner.findings)


# -- upstream's tests -----------------------------------------------------------------------------------------


def _suite(suite: str, pair: Pair, live: Live, say: Say) -> Comparison:
    folder = paths.build_dir() / "verify" / suite.replace(" ", "-")

    def run(side: str, source: Parser, plain: Parser) -> Results:
        say(f"{suite} {side} the change")
        return upstream_tests.run(suite, source.source, plain.site, folder / side, live)

    before = run("before", pair.before, pair.before_plain)
    after = run("after", pair.after, pair.after_plain)
    compared = upstream_tests.compare(suite, before, after)
    if compared.broken and not live.stopped:
        # Some tests depend on the load of the machine.
        again = upstream_tests.compare(suite, before, run("after", pair.after, pair.after_plain))
        broken = {name: why for name, why in compared.broken.items() if name in again.broken}
        compared = replace(again, broken=broken)
    return compared


# -- the change -----------------------------------------------------------------------------------------------


def changed_files(before: Parser, after: Parser) -> list[str]:
    """The Rust and Python sources of ``after`` that differ from those of ``before``, or are in one of them only."""
    both = [_sources(parser) for parser in (before, after)]
    return sorted(name for name in both[0].keys() | both[1].keys() if both[0].get(name) != both[1].get(name))


def _sources(parser: Parser) -> dict[str, bytes]:
    """By path as in the sdist; Python's lie below bindings/python in a checkout."""
    found = {}
    for path in sources.files(parser.source):
        name = sources.in_sdist(path.relative_to(parser.source).as_posix())
        if path.suffix in (".rs", ".py") and ("/src/" in name or name.startswith("py_src/")):
            found[name] = path.read_bytes()
    return found
