"""Short campaigns on mutants that survive the replay: do they find more than the committed corpus does?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.bench import hunt
from harness.bench.mutants import reasons
from harness.bench.mutants.ledger import SURVIVED, Ledger
from harness.bench.mutants.mutant import Mutant
from harness.bench.row_file import Row
from harness.bench.runner import Say
from harness.coverage import changed
from harness.parsers.registry import Parser

#: Targets of a campaign: those that kill most of the other mutants of the same function, or of the same file.
_TARGETS = 4


def fuzz(
    mutants: Sequence[Mutant], ledger: Ledger, parser: Parser, inputs: str, seconds: float, seed: int, say: Say
) -> None:
    """A campaign of at most ``seconds`` on every survivor among ``mutants`` that has no reason, and had no such campaign.

    The result of :func:`harness.bench.hunt.hunt` becomes the field ``campaign`` of the survivor.
    """
    explained = reasons.load()
    for one in mutants:
        row = ledger.rows.get(one.id)
        if row is None or row["status"] != SURVIVED or reasons.of(row, explained)["reason"]:
            continue
        if (row.get("campaign") or {}).get("asked", 0) >= seconds:
            continue
        change = one.as_change((parser.source / one.file).read_text(encoding="utf-8"))
        found = hunt.hunt(change, _targets(one, ledger), parser, seconds, seed, f"mutants/campaigns/{one.id}")
        ledger.add(one, SURVIVED, inputs, failed=row["failed"], campaign=found | {"asked": seconds})
        told = f"found after {found['cpu_seconds']:.0f} CPU-s: {found['found']}" if found["found"] else "not found"
        say(f"  {one.name}: {told}")


def _targets(one: Mutant, ledger: Ledger) -> list[str]:
    rows = [row for row in ledger.rows.values() if row["by"] and row["file"] == one.file]
    for near in ([row for row in rows if row["function"] == one.function], rows):
        if counts := Counter(_target(row) for row in near):
            return [name for name, _ in counts.most_common(_TARGETS)]
    return list(changed.choose([one.file], changed.measured(), changed.drivable()).targets)


def _target(row: Row) -> str:
    return str(row["by"]["target"])
