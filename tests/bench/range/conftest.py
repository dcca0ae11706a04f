"""Results of attempts as an attempt writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.bench.range import bugs

Made = Callable[..., dict[str, Any]]


@pytest.fixture
def made() -> Made:
    """A result: ``times`` has the CPU seconds of each detected bug."""

    def row(seed: int, budget: float, times: dict[int, float], **fields: Any) -> dict[str, Any]:
        numbers = [bug.number for bug in bugs.bugs()]
        return {
            "id": f"seed-{seed}-budget-{budget:g}",
            "seed": seed,
            "budget": budget,
            "bugs": numbers,
            "cpu_seconds": budget,
            "failed": False,
            "slowdown": 1.0,
            "detected": {
                str(number): {"cpu_seconds": time, "signature": f"a|b|c|<{number}>"} for number, time in times.items()
            },
            # The first bug is never reached, the second is reached alone.
            "counts": {str(number): [int(number > 1) * 5, int(number > 2) * 2] for number in numbers},
        } | fields

    return row
