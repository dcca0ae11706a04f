"""Why each survivor survives: ``reasons.toml``, written by people."""

from __future__ import annotations

from pathlib import Path

from harness.errors import HarnessError
from harness.findings import toml

#: No input can tell it from the parser; code that no call on Linux can run; an oracle that does not look.
EQUIVALENT, UNREACHABLE, HOLE = "equivalent", "unreachable", "hole"
REASONS = (EQUIVALENT, UNREACHABLE, HOLE)
#: The fields of a survivor without a reason.
NONE = {"reason": "", "why": ""}

_FILE = Path(__file__).with_suffix(".toml")


def load() -> dict[str, dict[str, str]]:
    """Reason and argument by the name of the mutant. Raises HarnessError for a reason that is none."""
    table = toml.loads(_FILE.read_text(encoding="utf-8"), _FILE.name, "restore it from version control")
    found: dict[str, dict[str, str]] = {}
    for row in table.get("survivor", ()):
        if row["reason"] not in REASONS or not row["why"]:
            raise HarnessError(
                f"{_FILE.name}: {row['mutant']} has no reason with an argument", hint=f"one of {', '.join(REASONS)}"
            )
        found |= {name: {"reason": row["reason"], "why": row["why"]} for name in (row["mutant"], *row.get("alike", ()))}
    return found
