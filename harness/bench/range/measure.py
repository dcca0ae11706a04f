"""Makes the attempts at the range, one after the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from harness.bench.range import results
from harness.bench.range.attempt import Plan, folder, run
from harness.bench.range.bugs import Bug, parser
from harness.bench.range.ledger import Ledger
from harness.bench.runner import Say
from harness.files import alone
from harness.text import duration


def plans(
    bugs: Sequence[Bug], budgets: Sequence[float], attempts: int, seed: int, *, empty: bool = False
) -> list[Plan]:
    """All attempts: for each budget, ``attempts`` with a random seed of their own; the small budgets come first."""
    return [
        Plan(seed + number, budget, tuple(bugs), empty) for budget in sorted(set(budgets)) for number in range(attempts)
    ]


def measure(
    bugs: Sequence[Bug],
    budgets: Sequence[float],
    attempts: int,
    seed: int,
    say: Say,
    *,
    part: tuple[int, int] = (1, 1),
    fresh: bool = False,
    empty: bool = False,
    price: float,
) -> dict[str, Any]:
    """The result of :func:`harness.bench.range.results.summary` for all attempts that are done.

    ``part`` is a number and a count of parts, which may run side by side. Attempts are kept in build/bench/range, so that an
    ended measurement goes on; ``fresh`` forgets them. ``empty``: without the committed seeds.
    """
    number, of = part
    build = parser(say)
    every = plans(bugs, budgets, attempts, seed, empty=empty)
    place = folder()
    ledger = Ledger(place, str(build.manifest["key"]), "" if of == 1 else f"{number}-of-{of}", fresh=fresh)
    mine = every[number - 1 :: of]
    waiting = [plan for plan in mine if ledger.row(plan) is None]
    left = sum(plan.budget for plan in waiting)
    say(f"{len(mine)} attempts, {len(mine) - len(waiting)} of them done earlier; at most {duration(left)} of CPU left")
    cores = sorted(os.sched_getaffinity(0))
    if waiting:
        with alone(place / f"lock-{number}-of-{of}", lambda: say("waiting for another measurement of the range")):
            for done, plan in enumerate(waiting, 1):
                say(f"  attempt {done} of {len(waiting)}: seed {plan.seed}, {duration(plan.budget)} of CPU")
                found = run(plan, build, cores[-number % len(cores)], say)
                ledger.add(found)
                failed = "; the campaign failed" if found["failed"] else ""
                say(f"    {len(found['detected'])} of {len(bugs)} detected in {found['cpu_seconds']:.0f} CPU-s{failed}")
    rows = [row for plan in every if (row := ledger.row(plan)) is not None]
    return results.summary(rows, bugs, price)
