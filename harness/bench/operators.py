"""``harness bench operators``: the worth of each mutation operator, by ablation.

The same random seeds run with all operators and without one (or several), from an empty corpus. A run reaches a set of
semantic features, a set of findings and a number of edges. Two Mann-Whitney U tests ask whether runs without the operator
reach fewer features and findings, and fewer edges. Their effect size is Vargha and Delaney's A12 (Arcuri and Briand,
ICSE 2011). Two Fisher exact tests ask the same of the feature, and of the finding, that is missing most. All four are
one-sided.

The p-value of a feature is multiplied by the number of features, that of a finding by the number of findings, and the
smallest of the four by four. Benjamini and Hochberg (1995) control the false discovery rate over the operators.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from harness.bench import runner
from harness.bench.runner import Say
from harness.mutate import OPERATORS

_SIGNIFICANT = 0.05
_FULL = 4
"""Runs with all operators per run without one. They serve every comparison."""


class Run(NamedTuple):
    """Result of one run: features, ids of findings, edges, and the share of deep executions (0 to 1)."""

    features: frozenset[str]
    findings: frozenset[str]
    edges: int
    deep: float


def outcome(done: runner.Done) -> Run:
    """The result of a run, from its last status."""
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
    """Things that most of ``full`` hold, with the corrected p-value that ``without`` hold them as often, smallest first."""
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
    parser: str, seeds: int, runs: int, names: Sequence[str], say: Say, *, target: str, together: bool = False
) -> dict[str, dict[str, Any]]:
    """One row per operator of ``names`` (all when empty), or one for all of them switched off ``together``.

    ``runs`` executions per run of ``target``. The name of a row lists the disabled operators, joined by "+".
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
