"""How many planted bugs does a short campaign find? Each set is a file, with the edits that make each bug.

The project wrote the set ``own`` before it measured. Authors who had read only the parser's source wrote the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.bench import hunt
from harness.bench.runner import Say
from harness.coverage import changed
from harness.findings import toml
from harness.findings.defects import Edit
from harness.parsers import fixes, registry

#: The blind spots that bugs are planted in.
KINDS = ("memory", "framework", "state", "file", "size", "relation", "promise", "crate")
#: The least share of bugs found.
TARGET = 22 / 24
#: The sets of bugs.
SETS = ("own", "blind", "third", "fourth")


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug. ``kind`` is one of :data:`KINDS`, ``edits`` make the bug in the released source."""

    name: str
    kind: str
    title: str
    edits: tuple[Edit, ...]


def bugs(name: str) -> tuple[Bug, ...]:
    """Those of a set, in the order of its file."""
    file = Path(__file__).with_name(f"planted_{name}.toml")
    table = toml.loads(file.read_text(encoding="utf-8"), file.name, "restore it from version control")
    return tuple(
        Bug(row["name"], row["kind"], row["title"], tuple(Edit(**edit) for edit in row["edits"]))
        for row in table["bug"]
    )


def measure(chosen: Sequence[Bug], seconds: float, seed: int, say: Say) -> dict[str, Any]:
    """Hunt each bug (:func:`harness.bench.hunt.hunt`) in a campaign of at most ``seconds``, on the targets that may meet it."""
    before = registry.find()
    rows = []
    for bug in chosen:
        # Those that the pull-request workflow drives for a change of these files.
        targets = changed.choose(fixes.touched([bug]), changed.measured(), changed.drivable()).targets
        found = hunt.hunt(bug, targets, before, seconds, seed, f"planted/{bug.name}")
        rows.append({"bug": bug.name, "kind": bug.kind, **found})
        say(f"  {bug.name} ({bug.kind}): {_told(rows[-1])}")
    kinds = Counter(row["kind"] for row in rows if row["found"])
    return {"seconds": seconds, "seed": seed, "rows": rows, "found": kinds.total(), "found_by_kind": dict(kinds)}


def _told(row: dict[str, Any]) -> str:
    if row["found"]:
        return f"found after {row['cpu_seconds']:.0f} CPU-s: {row['found']}"
    return "the campaign failed" if row["failed"] else f"missed in {row['cpu_seconds']:.0f} CPU-s"
