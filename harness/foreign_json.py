"""Values of JSON files that another version may have written, or a person edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def number(value: object) -> float:
    """``value`` where it is a finite number, else 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    # An integer past the largest float is no figure of the harness either.
    return value if abs(value) < 1e300 else 0


def table(value: object) -> Mapping[str, Any]:
    """``value`` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
