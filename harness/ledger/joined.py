"""Joins sessions into one curve per target, for the ledger, its forecast, ``harness harden`` and the reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.ledger.forecast import Forecast, of_curve
from harness.ledger.records import Point, Record


def alike(records: Iterable[Record], target: str) -> list[Record]:
    """The records that ran ``target`` on the parser of its last session."""
    mine = [record for record in records if target in record.targets]
    return [record for record in mine if record.parser == mine[-1].parser]


def curve(records: Sequence[Record], target: str) -> tuple[Point, ...]:
    """The points of ``target`` in ``records``, in their order, on the parser of its last session.

    CPU-seconds and executions are the target's, summed over sessions; ``seconds`` is the clock of all sessions. A session
    starts from the corpus of the one before, so levels never fall. A signature counts once.
    """
    joined: list[Point] = []
    known: set[str] = set()
    before: dict[str, float] = dict.fromkeys(("seconds", "cpu_seconds", "executions"), 0)
    parser = next((record.parser for record in reversed(records) if target in record.targets), "")
    for record in records:
        figures = record.targets.get(target)
        if figures is not None and record.parser == parser:
            mine = set(figures.signatures)
            # The record counts new findings of the session, not of each point.
            fresh = len(mine - known)
            for point in figures.curve:
                last = joined[-1] if joined else point
                moved = Point(
                    seconds=before["seconds"] + point.seconds,
                    cpu_seconds=before["cpu_seconds"] + point.cpu_seconds,
                    executions=int(before["executions"]) + point.executions,
                    edges=max(last.edges, point.edges),
                    features=max(last.features, point.features),
                    semantic=max(last.semantic, point.semantic),
                    corpus=point.corpus,
                    signatures=len(known) + min(point.signatures, fresh),
                )
                # Without executions in between, the later point replaces the earlier.
                if joined and moved.executions <= last.executions:
                    joined.pop()
                joined.append(moved)
            known |= mine
            for name in ("cpu_seconds", "executions"):
                before[name] += max([getattr(figures, name), *(getattr(point, name) for point in figures.curve[-1:])])
        ends = [one.curve[-1].seconds for one in record.targets.values() if one.curve]
        before["seconds"] += max([record.seconds, *ends])
    return tuple(joined)


def together(curves: Iterable[Sequence[Point]]) -> list[tuple[float, int]]:
    """Pairs (CPU-seconds, signatures) of all targets together, in the order of the clock."""
    moments = [(point.seconds, place, point) for place, points in enumerate(curves) for point in points]
    latest: dict[int, Point] = {}
    cpu_seconds, signatures = 0.0, 0
    found = []
    for _, place, point in sorted(moments, key=lambda moment: moment[0]):
        before = latest.get(place)
        cpu_seconds += point.cpu_seconds - (before.cpu_seconds if before else 0.0)
        signatures += point.signatures - (before.signatures if before else 0)
        latest[place] = point
        found.append((cpu_seconds, signatures))
    return found


def forecast(records: Sequence[Record], target: str) -> Forecast | None:
    """The forecast of ``target`` from all of ``records``; None if there is too little data."""
    mine = alike(records, target)
    if not mine:
        return None
    # Frequencies are of one session's sample.
    species = mine[0].targets[target].species if len(mine) == 1 else None
    return of_curve(target, mine[0].parser, curve(records, target), species)
