"""The target and the input that killed each mutant when all were measured last: ``killers.txt``.

A measurement tries them first, so it is fast where nothing changed. A mutant that is listed and survives now shows that the
harness, or its corpus, got worse. `harness bench mutants --record` writes the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from harness.bench.row_file import Row
from harness.errors import HarnessError
from harness.files import write_atomic

#: Hex digits of an input's SHA-1 that the file keeps.
DIGITS = 12

_FILE = Path(__file__).with_suffix(".txt")


class Killer(NamedTuple):
    """``input``: the first :data:`DIGITS` digits of the SHA-1 of the input, "" where the target did not start."""

    target: str
    input: str


def load() -> dict[str, Killer]:
    """Killers by the id of the mutant. Raises HarnessError for a line that is none."""
    found = {}
    for line in _FILE.read_text(encoding="utf-8").splitlines() if _FILE.is_file() else ():
        words = line.split()
        if len(words) not in (2, 3):
            raise HarnessError(f"{_FILE.name}: no killer: {line[:80]!r}", hint="restore it from version control")
        found[words[0]] = Killer(words[1], "".join(words[2:]))
    return found


def record(rows: Iterable[Row]) -> int:
    """Write the killers of ``rows``; those of mutants that are not in ``rows`` stay. Returns the number of all."""
    known = load()
    for row in rows:
        known.pop(row["id"], None)
        if row["by"]:
            known[row["id"]] = Killer(row["by"]["target"], row["by"]["input"][:DIGITS])
    lines = [" ".join((name, *killer)).rstrip() for name, killer in sorted(known.items())]
    write_atomic(_FILE, "\n".join(lines) + "\n")
    return len(known)
