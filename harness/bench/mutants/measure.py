"""Builds and judges all mutants, two at a time, and sums up."""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.bench.mutants import killers, reached, reasons, survivors
from harness.bench.mutants import mutant as listing
from harness.bench.mutants.build import IdenticalError, Slot, UnviableError, folder
from harness.bench.mutants.kill import Inputs, Judge
from harness.bench.mutants.ledger import IDENTICAL, KILLED, SURVIVED, UNVIABLE, Ledger
from harness.bench.mutants.mutant import Mutant
from harness.bench.mutants.peers import Peer, Upstream, make
from harness.bench.row_file import Row, part_name
from harness.bench.runner import Say
from harness.errors import HarnessError
from harness.files import alone
from harness.parsers.registry import Parser

#: Mutants that are built and judged at the same time.
SLOTS = 2
_SAY_EVERY = 25


def measure(
    parser: Parser,
    libraries: Path,
    say: Say,
    *,
    only: Sequence[str] = (),
    part: tuple[int, int] = (1, 1),
    fresh: bool = False,
    beside: Sequence[str] = (),
    campaign: float = 0,
    seed: int = 1,
    record: bool = False,
) -> dict[str, Any]:
    """Replay the committed corpus on every mutant of the source of ``parser``; the result of :func:`summary`.

    ``only`` chooses mutants whose name contains one of these texts; ``part`` is a number and a count of parts. Results are
    kept in build/bench/mutants, so that an ended measurement goes on. ``fresh`` forgets them. ``beside`` names peers that judge
    the same mutants. With ``campaign`` a survivor is fuzzed for so many seconds, from ``seed``. ``record`` keeps the killers.
    """
    mutants = [one for one in listing.every(parser.source, libraries) if not only or any(t in one.name for t in only)]
    mutants = listing.share(mutants, *part)
    inputs = Inputs.committed()
    key = str(parser.manifest["key"])
    ledger = Ledger(folder(), key, part_name(part), fresh=fresh)
    waiting = [one for one in mutants if not ledger.replayed(one, inputs.key) or ledger.lacking(one, beside)]
    say(f"{len(mutants)} mutants, {len(mutants) - len(waiting)} of them judged earlier")
    if waiting:
        coverage = reached.coverage_build(parser)
        with alone(folder() / "lock", lambda: say("waiting for another measurement of mutants")):
            slots = [Slot(number, parser) for number in range(min(SLOTS, len(waiting)))]
            # Upstream's tests load the extension without libFuzzer.
            if Upstream.name in beside or not all(one.python for one in waiting):
                say("compiling the parser without a mutant, by the flags of the mutants")
                slots[0].compile_unchanged()
            say(f"this parser, on {sum(map(len, inputs.by_target.values()))} inputs:")
            inputs.judge_healthy(slots[0].parser, say)
            say("the regions that the inputs of each target run:")
            judge = Judge(inputs, parser, reached.measure(coverage, inputs.by_target, say), killers.load())
            others = [make(name, judge) for name in beside]
            for peer in others:
                peer.prepare(slots[0])
            _Run(slots, judge, others, ledger, say).through(waiting)
    if campaign:
        say(f"campaigns of {campaign:.0f} s on survivors without a reason:")
        survivors.fuzz(mutants, ledger, parser, inputs.key, campaign, seed, say)
    rows = [ledger.rows[one.id] for one in mutants if one.id in ledger.rows]
    result = summary(rows)
    if record:
        say(f"killers of {killers.record(rows)} mutants are on record")
    return result


class _Run:
    """Threads that share a queue of mutants; each has a slot of its own."""

    def __init__(self, slots: Sequence[Slot], judge: Judge, peers: Sequence[Peer], ledger: Ledger, say: Say) -> None:
        self._slots, self._judge, self._ledger, self._say = slots, judge, ledger, say
        self._peers = {peer.name: peer for peer in peers}
        self._queue: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
        self._failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._most = 0
        self._began = 0.0

    def through(self, mutants: Sequence[Mutant]) -> None:
        """Judge all of them. Raises what a thread raised first."""
        self._most, self._began = len(mutants), time.monotonic()
        for one in mutants:
            self._queue.put(one)
        threads = [threading.Thread(target=self._work, args=(slot,)) for slot in self._slots]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                # A wait without a limit would keep Ctrl-C out.
                while thread.is_alive():
                    thread.join(0.2)
        finally:
            self._judge.stop.set()
            for peer in self._peers.values():
                peer.stop()
            for thread in threads:
                thread.join()
        if not self._failures.empty():
            raise self._failures.get()

    def _work(self, slot: Slot) -> None:
        try:
            while not self._judge.stop.is_set():
                try:
                    one = self._queue.get_nowait()
                except queue.Empty:
                    return
                self._told(self._one(slot, one))
        except KeyboardInterrupt:
            # The main thread has it too.
            return
        except OSError as error:
            hint = "make room, and run the same command again: it goes on from here"
            self._failures.put(HarnessError(f"a mutant cannot be built or judged: {error}", hint=hint))
            self._judge.stop.set()
        except BaseException as error:
            self._failures.put(error)
            self._judge.stop.set()

    def _one(self, slot: Slot, one: Mutant) -> Row:
        key = self._judge.inputs.key
        try:
            with slot.build(one) as built:
                if self._ledger.replayed(one, key):
                    row = self._ledger.rows[one.id]
                else:
                    row = self._replay(one, built)
                if lacking := self._ledger.lacking(one, self._peers):
                    found = {name: self._peers[name].kills(one, slot) for name in lacking}
                    if self._judge.stop.is_set():
                        raise KeyboardInterrupt
                    row = self._ledger.add(one, **row | {"peers": row["peers"] | found})
                return row
        except UnviableError as error:
            return self._ledger.add(one, UNVIABLE, key, why=str(error)[:300])
        except IdenticalError:
            return self._ledger.add(one, IDENTICAL, key)

    def _replay(self, one: Mutant, built: Parser) -> Row:
        began = time.monotonic()
        verdict = self._judge.verdict(one, built)
        kill = verdict.kill
        earlier = self._ledger.rows.get(one.id) or {}
        return self._ledger.add(
            one,
            SURVIVED if kill is None else KILLED,
            self._judge.inputs.key,
            by=kill and dataclasses.asdict(kill),
            failed=verdict.failed,
            reached=verdict.reached,
            seconds=round(time.monotonic() - began, 1),
            peers=earlier.get("peers", {}),
        )

    def _told(self, row: Row) -> None:
        with self._lock:
            self._seen[row["status"]] += 1
            done = self._seen.total()
            if row["status"] == SURVIVED:
                self._say(f"  survived: {row['name']}")
            if done % _SAY_EVERY == 0 or done == self._most:
                left = (time.monotonic() - self._began) / done * (self._most - done)
                figures = ", ".join(f"{self._seen[word]} {word}" for word in (KILLED, SURVIVED, UNVIABLE, IDENTICAL))
                self._say(f"  {done} of {self._most}: {figures}; about {left / 60:.0f} min left")


def summary(rows: Iterable[Row]) -> dict[str, Any]:
    """Figures by file and in all, the kills by target, and the survivors with their reasons.

    ``score`` is the share of killed mutants among those that compile, to other code, and are not argued to be equivalent.
    """
    rows = list(rows)
    explained, known = reasons.load(), killers.load()
    left = [
        {
            "name": row["name"],
            "id": row["id"],
            "campaign": row.get("campaign"),
            "reached": row.get("reached"),
            "killed_before_by": known[row["id"]].target if row["id"] in known else "",
        }
        | reasons.of(row, explained)
        for row in rows
        if row["status"] == SURVIVED
    ]
    equivalent = {one["name"] for one in left if one["reason"] == reasons.EQUIVALENT}
    files = {
        file: _figures([r for r in rows if r["file"] == file], equivalent) for file in sorted({r["file"] for r in rows})
    }
    kills = [row["by"] for row in rows if row["by"]]
    return {
        "files": files,
        "all": _figures(rows, equivalent),
        "peers": {name: _beside(rows, name) for name in sorted({name for row in rows for name in row["peers"]})},
        "killed_by_target": dict(Counter(kill["target"] for kill in kills).most_common()),
        "killed_by_oracle": dict(Counter(kill["oracle"] for kill in kills).most_common()),
        "killed_by_rule": dict(Counter(kill["rule"] for kill in kills).most_common()),
        "masked": sorted(row["name"] for row in rows if row["by"] and row["by"].get("masked")),
        "survivors": left,
        "harness_failed": sorted(row["name"] for row in rows if row["failed"]),
    }


def _figures(rows: Sequence[Row], equivalent: set[str]) -> dict[str, Any]:
    counts = Counter(row["status"] for row in rows)
    same = sum(row["name"] in equivalent for row in rows)
    rated = counts[KILLED] + counts[SURVIVED] - same
    return {
        "mutants": len(rows),
        **{word: counts[word] for word in (KILLED, SURVIVED, UNVIABLE, IDENTICAL)},
        "equivalent": same,
        "score": round(counts[KILLED] / rated, 4) if rated else None,
    }


def _beside(rows: Sequence[Row], peer: str) -> dict[str, int]:
    """Of the mutants that a peer judged too: how many it killed, the replay killed, and one of them alone."""
    both = [(row["status"] == KILLED, bool(row["peers"][peer])) for row in rows if peer in row["peers"]]
    return {
        "mutants": len(both),
        "killed": sum(theirs for _, theirs in both),
        "killed_by_replay": sum(ours for ours, _ in both),
        "replay_alone": sum(ours and not theirs for ours, theirs in both),
        "peer_alone": sum(theirs and not ours for ours, theirs in both),
    }
