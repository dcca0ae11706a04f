"""Makes the attempts at the range, one after the other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness
from harness import paths
from harness.bench.range import results
from harness.bench.range.attempt import Plan, folder, run
from harness.bench.range.bugs import Bug, parser
from harness.bench.range.ledger import Ledger
from harness.bench.row_file import part_name
from harness.bench.runner import Say
from harness.files import alone
from harness.targets.registry import get_target
from harness.text import duration

# Parts of ours that no campaign runs, and files that one may read.
_ELSEWHERE = ("bench", "report")
_CODE = (".py", ".rs", ".c", ".toml", ".json")


def plans(
    bugs: Sequence[Bug], budgets: Sequence[float], attempts: int, seed: int, *, empty: bool = False
) -> list[Plan]:
    """All attempts: for each budget, ``attempts`` with a random seed of their own; the small budgets come first."""
    return [
        Plan(seed + number, budget, tuple(bugs), empty) for budget in sorted(set(budgets)) for number in range(attempts)
    ]


def harness_key() -> str:
    """A hash of what a campaign depends on beside the parser: our code without benches and reports, and the seeds."""
    digest = hashlib.sha256()
    root = Path(harness.__file__).parent
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if inside.parts[0] not in _ELSEWHERE and "bench" not in path.name and path.suffix in _CODE:
            digest.update(f"{inside.as_posix()}\0".encode() + path.read_bytes())
    # Seeds are named by their content.
    digest.update("\n".join(sorted(path.name for path in paths.corpus_dir().rglob("*") if path.is_file())).encode())
    return digest.hexdigest()[:8]


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
    ended measurement goes on with the same harness; ``fresh`` forgets them. ``empty``: without the committed seeds.
    """
    number, of = part
    build = parser(say)
    every = plans(bugs, budgets, attempts, seed, empty=empty)
    place = folder()
    ledger = Ledger(place, f"{build.manifest['key']}-{harness_key()}", part_name(part), fresh=fresh)
    mine = every[number - 1 :: of]
    waiting = [plan for plan in mine if ledger.row(plan) is None]
    left = sum(plan.budget for plan in waiting)
    say(f"{len(mine)} attempts, {len(mine) - len(waiting)} of them done earlier; at most {duration(left)} of CPU left")
    if reason := get_target("torch").missing():
        lost = sum("torch" in bug.shows for bug in bugs)
        say(f"{lost} of the bugs cannot be detected here: {reason}")
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
