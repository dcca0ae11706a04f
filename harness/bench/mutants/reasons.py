"""Why each survivor survives: ``reasons.toml``, written by people.

A reason is for one mutant, by its name, or for all of a function, by ``file: function``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.findings import toml

#: No input can tell it from the parser; code that no call on Linux can run; an oracle that does not look.
EQUIVALENT, UNREACHABLE, HOLE = "equivalent", "unreachable", "hole"
REASONS = (EQUIVALENT, UNREACHABLE, HOLE)

_NONE = {"reason": "", "why": ""}
_FILE = Path(__file__).with_suffix(".toml")


def load() -> dict[str, dict[str, str]]:
    """Reason and argument by the name of a mutant, or of a function. Raises HarnessError for a reason that is none."""
    table = toml.loads(_FILE.read_text(encoding="utf-8"), _FILE.name, "restore it from version control")
    found: dict[str, dict[str, str]] = {}
    for row in table.get("survivor", ()):
        names = [*([row["mutant"]] if "mutant" in row else ()), *row.get("alike", ()), *row.get("functions", ())]
        if row["reason"] not in REASONS or not row["why"] or not names:
            raise HarnessError(
                f"{_FILE.name}: {', '.join(names) or 'a row'} has no reason with an argument",
                hint=f"one of {', '.join(REASONS)}",
            )
        found |= {name: {"reason": row["reason"], "why": row["why"]} for name in names}
    return found


def of(row: Mapping[str, Any], explained: Mapping[str, dict[str, str]]) -> dict[str, str]:
    """Reason and argument of a row of the ledger, both "" where it has none. ``explained`` is from :func:`load`."""
    return explained.get(row["name"]) or explained.get(f"{row['file']}: {row['function']}") or _NONE
