"""Sessions one after the other as one curve: what a target was given in several sittings, and what it found in them.

Whoever joins sessions does it here: the ledger and its forecast, ``harness harden``, and every figure of the reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.ledger.forecast import Forecast, of_curve
from harness.ledger.records import Point, Record


def alike(records: Iterable[Record], target: str) -> list[Record]:
    """Those of ``records`` that a forecast of ``target`` stands on: they ran it, on the parser that it ran on last."""
    mine = [record for record in records if target in record.targets]
    return [record for record in mine if record.parser == mine[-1].parser]


def curve(records: Sequence[Record], target: str) -> tuple[Point, ...]:
    """The points of ``target`` in ``records``, in their order; of the parser that it ran on last, as another's edges are others.

    Spending goes on from one session to the next: CPU-seconds and executions are those of the target, sessions without a curve and what
    came after a session's last point included; ``seconds`` is the clock of the sessions, whichever targets they ran.

    A session starts from what the one before it kept, so what is known never falls: where edges of a session come later than its start,
    they are no discovery. Signatures have names: a session counts its own, and what it found again counts once.
    """
    joined: list[Point] = []
    known: set[str] = set()
    before: dict[str, float] = dict.fromkeys(("seconds", "cpu_seconds", "executions"), 0)
    parser = next((record.parser for record in reversed(records) if target in record.targets), "")
    for record in records:
        figures = record.targets.get(target)
        if figures is not None and record.parser == parser:
            mine = set(figures.signatures)
            # How many of its findings are fresh is known of the whole session alone: they come as it found them, at most so many.
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
                # Nothing was executed in between: it is the same moment, told better.
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
    """What targets that took turns had found by the CPU-seconds that all of them had taken: pairs, in the order of the clock."""
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
    """The forecast of ``target`` from all of ``records``; None where they tell too little."""
    mine = alike(records, target)
    if not mine:
        return None
    # Frequencies are of one session's sample.
    species = mine[0].targets[target].species if len(mine) == 1 else None
    return of_curve(target, mine[0].parser, curve(records, target), species)
