"""Sessions one after the other as one curve: what a target was given in several sittings, and what it found in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.ledger.forecast import Forecast, of_curve
from harness.ledger.records import KINDS, Point, Record


def curve(records: Sequence[Record], target: str) -> tuple[Point, ...]:
    """The points of ``target`` in ``records``, in their order: spending goes on from one session to the next.

    A session starts from what the one before it kept, so what is known never falls: where edges of a session come later than its
    start, they are no discovery. Signatures are counted by session; what one found again counts once.
    """
    joined: list[Point] = []
    seen: set[str] = set()
    for record in records:
        figures = record.targets.get(target)
        if figures is None or not figures.curve:
            continue
        offset = joined[-1] if joined else None
        known = len(seen)
        # How many of its findings are fresh is known of the whole session alone: they come as it found them, at most so many.
        fresh = len(set(figures.signatures) - seen)
        for point in figures.curve:
            moved = replace(point, signatures=known + min(point.signatures, fresh))
            if offset is not None:
                moved = replace(
                    moved,
                    seconds=offset.seconds + point.seconds,
                    cpu_seconds=offset.cpu_seconds + point.cpu_seconds,
                    executions=offset.executions + point.executions,
                    **{kind: max(getattr(offset, kind), getattr(moved, kind)) for kind in KINDS},
                )
            joined.append(moved)
        seen |= set(figures.signatures)
    return tuple(joined)


def forecast(records: Sequence[Record], target: str) -> Forecast | None:
    """The forecast of ``target`` from all of ``records``; None where they tell too little."""
    return of_curve(target, records[-1].parser, curve(records, target)) if records else None
