"""Makes the trials of all peers, one after the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.bench.peers import results
from harness.bench.peers.builds import builds
from harness.bench.peers.ledger import Ledger
from harness.bench.peers.native import Afl, Generator, LibFuzzer
from harness.bench.peers.ours import PARTS, Ours
from harness.bench.peers.peer import Peer, folder
from harness.bench.peers.properties import Hypothesis
from harness.bench.peers.trial import Plan, run
from harness.bench.peers.upstream import Upstream
from harness.bench.range import bugs
from harness.bench.row_file import part_name
from harness.bench.runner import Say
from harness.errors import HarnessError
from harness.files import alone
from harness.text import duration


def every(libraries: Path | None = None) -> dict[str, Peer]:
    """All peers by name; ``libraries`` is the folder with cargo-afl."""
    others: list[Peer] = [LibFuzzer(), Afl(libraries), Generator(), Upstream(), Hypothesis()]
    return {peer.name: peer for peer in [*others, *map(Ours, sorted(PARTS, key=results.is_part))]}


def plans(names: Sequence[str], budget: float, trials: int, seed: int) -> list[Plan]:
    """All trials. The peers take turns, so that all see the same state of the machine."""
    return [Plan(name, seed + number, budget) for number in range(trials) for name in names]


def measure(
    names: Sequence[str],
    budget: float,
    trials: int,
    seed: int,
    say: Say,
    *,
    part: tuple[int, int] = (1, 1),
    fresh: bool = False,
    libraries: Path | None = None,
) -> dict[str, Any]:
    """The result of :func:`harness.bench.peers.results.summary` for all trials that are done.

    ``names`` of peers, all if empty. ``part`` is a number and a count of parts, which may run side by side. Trials are kept in
    build/bench/peers, so that an ended measurement goes on; ``fresh`` forgets them. A named peer that is missing is an error.
    """
    number, of = part
    peers = [peer for name, peer in every(libraries).items() if not names or name in names]
    left_out = {peer.name: reason for peer in peers if (reason := peer.missing())}
    for name, reason in left_out.items():
        if name in names:
            raise HarnessError(f"the peer {name} cannot run: {reason}", hint="`.ci/peers measure` installs all peers")
        say(f"left out: {name}: {reason}")
    able = {peer.name: peer for peer in peers if peer.name not in left_out}
    build, planted, place = builds(say), bugs.bugs(), folder()
    ledger = Ledger(place, str(build.sancov.manifest["key"]), part_name(part), fresh=fresh)
    chosen = plans(list(able), budget, trials, seed)
    mine = chosen[number - 1 :: of]
    waiting = [plan for plan in mine if ledger.row(plan) is None]
    left = sum(plan.budget for plan in waiting)
    say(f"{len(mine)} trials, {len(mine) - len(waiting)} of them done earlier; {duration(left)} of CPU left")
    cores = sorted(os.sched_getaffinity(0))
    if waiting:
        with alone(place / f"lock-{number}-of-{of}", lambda: say("waiting for another measurement of the peers")):
            for name in dict.fromkeys(plan.peer for plan in waiting):
                say(f"  preparing {name}")
                able[name].prepare(build, say)
            for done, plan in enumerate(waiting, 1):
                say(f"  trial {done} of {len(waiting)}: {plan.peer}, seed {plan.seed}")
                found = run(plan, able[plan.peer], build, planted, cores[-number % len(cores)], say)
                ledger.add(found)
                told = ", ".join(f"{len(found[word])} {word}" for word in results.WORDS)
                say(f"    {told} of {len(planted)} in {found['cpu_seconds']:.0f} CPU-s")
    rows = [row for plan in chosen if (row := ledger.row(plan)) is not None]
    return results.summary(rows, list(able.values()), planted, left_out)
