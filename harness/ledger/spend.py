"""New discoveries of each session, and the cost of the last discoveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.ledger.records import KINDS, Ledger, Point

_COUNTED = ("edges", "features", "semantic")
_LAST = 10


@dataclass(frozen=True, slots=True)
class Marginal:
    """The last ``count`` discoveries of a kind cost ``cpu_seconds`` each; the last came ``since`` CPU-seconds ago."""

    count: int
    cpu_seconds: float
    since: float


def bought(ledger: Ledger) -> dict[str, list[dict[str, int]]]:
    """New species by kind, for each target and session in order.

    Edges and features are levels: the rise above the best earlier level on the same parser, and above the seeds. It is a lower
    bound, as two sessions may reach different edges. Signatures are compared by name.
    """
    best: dict[tuple[str, str, str], int] = {}
    seen: dict[str, set[str]] = {}
    rows: dict[str, list[dict[str, int]]] = {}
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
            rows.setdefault(name, []).append(new)
    return rows


def marginal(curve: Sequence[Point], kind: str) -> Marginal | None:
    """Cost of the last ten discoveries of ``kind``, or of all if there were fewer; None without any."""
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
