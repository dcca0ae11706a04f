"""What each session bought that the ledger did not have, and what the last discoveries cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.ledger.records import KINDS, Ledger, Point, Record

_COUNTED = ("edges", "features", "semantic")
_LAST = 10


@dataclass(frozen=True, slots=True)
class Bought:
    """What one session of one target brought, by kind of species."""

    record: Record
    target: str
    new: dict[str, int]


@dataclass(frozen=True, slots=True)
class Marginal:
    """The last ``count`` discoveries of a kind cost ``cpu_seconds`` each; the last came ``since`` CPU-seconds ago."""

    count: int
    cpu_seconds: float
    since: float


def bought(ledger: Ledger) -> list[Bought]:
    """For each session and target, in order, what was new to the ledger.

    Edges and features are levels: what a session reached above the best before it on the same parser, and above what its seeds knew. As
    two sessions may reach as many edges that are not the same, that is a lower bound. Signatures are told apart by name.
    """
    best: dict[tuple[str, str, str], int] = {}
    seen: dict[str, set[str]] = {}
    rows = []
    for record in ledger.records:
        for name, figures in record.targets.items():
            new = {}
            for kind in _COUNTED:
                key = (name, record.parser, kind)
                before = max(best.get(key, 0), figures.started_with(kind))
                new[kind] = max(0, figures.levels[kind] - before)
                best[key] = max(before, figures.levels[kind])
            known = seen.setdefault(name, set())
            new["signatures"] = len(set(figures.signatures) - known)
            known.update(figures.signatures)
            rows.append(Bought(record, name, new))
    return rows


def marginal(curve: Sequence[Point], kind: str) -> Marginal | None:
    """What the last ten discoveries of ``kind`` cost, or all where there were fewer; None where there was none."""
    assert kind in KINDS
    if not curve or getattr(curve[-1], kind) == getattr(curve[0], kind):
        return None
    end, level = curve[-1].cpu_seconds, getattr(curve[-1], kind)
    latest = next(point for point in curve if getattr(point, kind) == level)
    since = next(
        point for point in reversed(curve) if getattr(point, kind) <= max(level - _LAST, getattr(curve[0], kind))
    )
    count = level - getattr(since, kind)
    return Marginal(count, (end - since.cpu_seconds) / count, end - latest.cpu_seconds)
