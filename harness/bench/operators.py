"""``harness bench operators``: what each mutation operator is worth, by switching it off.

The same random seeds run with all operators and without one (or without several at once), from an empty corpus. What a
run reached is a set of semantic features (rule x outcome, dtype x rank x zero dimension, ...), a set of findings, and a
number of edges. Four questions are put to the runs without an operator: do they reach fewer features and findings,
fewer edges, or hardly ever one feature, or one finding, that the others reach mostly? The first two by the Mann-Whitney
U test, with Vargha and Delaney's A12 as the effect (Arcuri and Briand, "A practical guide for using statistical tests to
assess randomized algorithms", ICSE 2011), the others by Fisher's exact test on what went missing most. All are
one-sided: an operator without which more is reached does not pay.

Seventy operators and four hundred features are many chances to be wrong. So the p-value of a feature is multiplied by the
number of features, that of a finding by the number of findings, the smallest of the four by four, and over the
operators the false discovery rate is held (Benjamini and Hochberg 1995). The runs with all operators serve every
comparison and are four times as many, which is what makes a thing that ten runs of ten miss stand out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

from harness.bench import runner
from harness.mutate import OPERATORS

_SIGNIFICANT = 0.05
_FULL = 4
"""Runs with all operators, in times those without one."""


class Run(NamedTuple):
    """What one run came to: features, ids of findings, edges, and the part of executions (0 to 1) that got deep."""

    features: frozenset[str]
    findings: frozenset[str]
    edges: int
    deep: float


def outcome(done: runner.Done) -> Run:
    """What a run came to, from its last status."""
    status = done.status
    return Run(frozenset(status.semantic_keys), frozenset(status.findings), done.edges, done.share("deep"))


def a12(first: Sequence[float], second: Sequence[float]) -> float:
    """Vargha and Delaney's effect size: how likely a value of ``first`` is larger than one of ``second``, ties half."""
    wins = sum(1.0 if x > y else 0.5 if x == y else 0.0 for x in first for y in second)
    return wins / (len(first) * len(second))


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float:
    """p-value of the U test that ``first`` is larger, by the normal approximation corrected for ties and continuity."""
    n, m = len(first), len(second)
    ties = Counter([*first, *second])
    over = a12(first, second) * n * m - n * m / 2
    spread = n * m / 12 * ((n + m + 1) - sum(t**3 - t for t in ties.values()) / ((n + m) * (n + m - 1)))
    if spread == 0:
        return 1.0
    return math.erfc((over - 0.5) / math.sqrt(2 * spread)) / 2


def fisher(with_it: int, of_with: int, without: int, of_without: int) -> float:
    """p-value of Fisher's exact test that the second proportion is lower."""
    hits, total = with_it + without, of_with + of_without
    ways = sum(
        math.comb(hits, k) * math.comb(total - hits, of_without - k)
        for k in range(max(0, of_without - total + hits), without + 1)
    )
    return ways / math.comb(total, of_without)


def missed(full: Sequence[frozenset[str]], without: Sequence[frozenset[str]]) -> list[tuple[float, str]]:
    """Things that most of ``full`` hold, with the p-value that those ``without`` do as well, the smallest first.

    The values are corrected for the number of things.
    """
    often = Counter(item for things in full for item in things)
    seldom = Counter(item for things in without for item in things)
    usual = [(item, count) for item, count in often.items() if 2 * count > len(full)]
    values = [(fisher(count, len(full), seldom[item], len(without)), item) for item, count in usual]
    return sorted((min(1.0, p * len(usual)), item) for p, item in values)


def compare(full: Sequence[Run], without: Sequence[Run]) -> dict[str, Any]:
    """One row: effects, medians, and ``p`` for the four questions together."""
    things = [[len(run.features) + len(run.findings) for run in runs] for runs in (full, without)]
    edges = [[run.edges for run in runs] for runs in (full, without)]
    features = missed([run.features for run in full], [run.features for run in without])
    findings = missed([run.findings for run in full], [run.findings for run in without])
    p = min(mann_whitney(*things), mann_whitney(*edges), *(gone[0][0] for gone in (features, findings) if gone))
    return {
        "p": min(1.0, 4 * p),
        "things": [median(counts) for counts in things],
        "things_a12": round(a12(*things), 3),
        "edges": [median(counts) for counts in edges],
        "edges_a12": round(a12(*edges), 3),
        "deep": [round(median([run.deep for run in runs]), 4) for runs in (full, without)],
        "only_with_it": [item for value, item in findings + features if value < _SIGNIFICANT],
    }


def judge(rows: dict[str, dict[str, Any]]) -> None:
    """Give every row ``q``, its p-value with the false discovery rate of all rows held, and ``pays``."""
    least = 1.0
    for rank, name in sorted(enumerate(sorted(rows, key=lambda name: rows[name]["p"]), 1), reverse=True):
        least = min(least, rows[name]["p"] * len(rows) / rank)
        rows[name]["q"] = round(least, 5)
        rows[name]["pays"] = least < _SIGNIFICANT


def ablation(
    parser: str,
    seeds: int,
    runs: int,
    names: Sequence[str],
    say: Callable[[str], None],
    *,
    target: str = "deserialize",
    together: bool = False,
) -> dict[str, dict[str, Any]]:
    """One row per operator of ``names`` (all when empty), or one for all of them switched off ``together``.

    ``runs`` executions per run of ``target``; rows are named by what was off, joined by "+".
    """
    chosen = tuple(names) or tuple(sorted(OPERATORS))
    rows: dict[str, dict[str, Any]] = {}
    with runner.scratch() as folder:

        def go(disabled: tuple[str, ...], count: int) -> list[Run]:
            return [
                outcome(runner.fuzz(target, parser, folder, seed=seed, runs=runs, seed_dirs=(), disabled=disabled))
                for seed in range(1, count + 1)
            ]

        full = go((), _FULL * seeds)
        say(
            f"  all operators: {median(len(run.features) for run in full):.0f} features, "
            f"{median(len(run.findings) for run in full):.0f} findings, "
            f"{median(run.edges for run in full):.0f} edges (medians of {len(full)} seeds)"
        )
        for off in [chosen] if together else [(name,) for name in chosen]:
            row = rows["+".join(off)] = compare(full, go(off, seeds))
            say(
                f"  without {off[0] if len(off) == 1 else f'{len(off)} of them':24} {row['things'][1]:5.0f} things "
                f"(A12 {row['things_a12']:.2f})  {row['edges'][1]:5.0f} edges (A12 {row['edges_a12']:.2f})  "
                f"deep {100 * row['deep'][1]:.0f} %  p {row['p']:.2g}  {len(row['only_with_it'])} things only with it"
            )
    judge(rows)
    idle = sorted(name for name, row in rows.items() if not row["pays"])
    say(
        f"  {len(rows) - len(idle)} of {len(rows)} pay; switched off, these change nothing: {', '.join(idle) or 'none'}"
    )
    return rows
