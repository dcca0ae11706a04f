"""``harness bench operators``: what each mutation operator is worth, by switching it off.

The same random seeds run with all operators and, for each operator, without it, from an empty corpus. What a run
reached is a set: its semantic features (rule x outcome, dtype x rank x zero dimension, ...) and its findings. An
operator is worth something when the runs without it reach less: measured by the number of things reached, with the
Mann-Whitney U test and Vargha and Delaney's A12 over the seeds (Arcuri and Briand, "A practical guide for using
statistical tests to assess randomized algorithms", ICSE 2011), and by what most runs reach with it and few without.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from harness.bench import runner
from harness.mutate import OPERATORS

Reached = frozenset[str]
_SIGNIFICANT = 0.05


def reached(status: dict[str, Any]) -> Reached:
    """What a run reached, from its last status."""
    return frozenset(status["semantic_keys"]) | frozenset(f"finding {name}" for name in status["findings"])


def a12(first: Sequence[float], second: Sequence[float]) -> float:
    """Vargha and Delaney's effect size: how likely a value of ``first`` is larger than one of ``second``, ties half."""
    wins = sum(1.0 if x > y else 0.5 if x == y else 0.0 for x in first for y in second)
    return wins / (len(first) * len(second))


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p-value of the U test, by the normal approximation with correction for ties and continuity."""
    n, m = len(first), len(second)
    pooled = sorted([*first, *second])
    ties = Counter(pooled)
    u = a12(first, second) * n * m
    spread = n * m / 12 * ((n + m + 1) - sum(t**3 - t for t in ties.values()) / ((n + m) * (n + m - 1)))
    if spread == 0:
        return 1.0
    z = max(abs(u - n * m / 2) - 0.5, 0.0) / math.sqrt(spread)
    return math.erfc(z / math.sqrt(2))


def missing(full: Sequence[Reached], without: Sequence[Reached]) -> list[str]:
    """What at least 80 % of the ``full`` runs reach and at most 20 % of those ``without`` the operator."""
    often = Counter(item for run in full for item in run)
    seldom = Counter(item for run in without for item in run)
    return sorted(
        item for item, count in often.items() if count >= 0.8 * len(full) and seldom[item] <= 0.2 * len(without)
    )


def ablation(
    parser: str, seeds: int, runs: int, names: Sequence[str], say: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """One row per operator of ``names`` (all when empty); ``runs`` executions per run."""
    found: dict[str, dict[str, Any]] = {}
    with runner.scratch() as folder:

        def go(disabled: tuple[str, ...]) -> list[Reached]:
            return [
                reached(
                    runner.fuzz(
                        "deserialize", parser, folder, seed=seed, runs=runs, seed_dirs=(), disabled=disabled
                    ).status
                )
                for seed in range(1, seeds + 1)
            ]

        full = go(())
        sizes = [len(run) for run in full]
        say(f"  all operators: {sorted(sizes)[len(sizes) // 2]} things reached (median of {seeds} seeds)")
        for name in names or sorted(OPERATORS):
            without = go((name,))
            counts = [len(run) for run in without]
            only = missing(full, without)
            effect, p = a12(sizes, counts), mann_whitney(sizes, counts)
            pays = bool(only) or (p < _SIGNIFICANT and effect > 0.5)
            found[name] = {
                "a12": round(effect, 3),
                "p": round(p, 4),
                "median_with": sorted(sizes)[seeds // 2],
                "median_without": sorted(counts)[seeds // 2],
                "only_with_it": only,
                "pays": pays,
            }
            say(
                f"  without {name:24} {sorted(counts)[seeds // 2]:5}  A12 {effect:.2f}  p {p:.3f}  "
                f"{len(only)} things only with it{'' if pays else '   <- changes nothing'}"
            )
    return found
