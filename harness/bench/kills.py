"""What it costs to go on after three signatures that kill the process are known."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from typing import Any

from harness.bench import runner

# Guards as deaths of a worker would leave them: words of the header that an input must hold, all of them. They stand
# for no defect of any release; pairs of dtypes are about as rare as what a minimised killer comes down to.
GUARDS = (
    ("F8_E8M0", "F6_E2M3"),
    ("C64", "F4", "__metadata__"),
    ("F8_E5M2FNUZ", "U64"),
)


def guarded(parser: str, seeds: int, runs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Executions per CPU-second with :data:`GUARDS` in force over the same without, by seed.

    Skipped inputs are not counted as executed; what the workers spend on making and skipping them is.
    """
    ratios: list[float] = []
    skipped: list[float] = []
    guards = tuple(json.dumps(words) for words in GUARDS)
    with runner.scratch() as folder:
        for seed in range(1, seeds + 1):
            without = runner.fuzz("deserialize", parser, folder, seed=seed, runs=runs)
            known = runner.fuzz("deserialize", parser, folder, seed=seed, runs=runs, guards=guards)
            ratios.append(known.rate / without.rate)
            skipped.append(known.status.guarded / (known.status.guarded + runs))
    median = statistics.median(ratios)
    say(f"  median {median:.2f} of the throughput without; {100 * statistics.median(skipped):.1f} % of inputs skipped")
    return {"ratios": ratios, "median": median, "skipped": skipped}
