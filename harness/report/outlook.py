"""The forecast on the HTML page: new findings of more fuzzing, and chances of an attacker."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.ledger import joined
from harness.ledger.forecast import TIMES, Forecast, KindForecast, together
from harness.ledger.growth_curve import LEVEL, Interval
from harness.ledger.records import Record
from harness.report.figures import Ahead
from harness.report.words import HOUR
from harness.text import duration, short

#: Kinds of species with a table, and their names on the page.
TOLD = {"signatures": "findings", "edges": "edges"}


@dataclass(frozen=True, slots=True)
class Line:
    """One target: new species by budget (a CPU-hour, multiples of the executions so far), and the attacker's chances."""

    target: str
    known: int
    hour: Interval
    times: tuple[Interval, ...]
    left: Interval
    chance: float
    attacker: tuple[float, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """``tables`` by kind, ``sentence`` for the head of the page, and a sentence about an ``attacker``.

    ``cpu_seconds`` of all targets on the parsers of the forecasts, also of targets without a forecast.
    """

    sentence: str
    attacker: str
    tables: dict[str, list[Line]]
    forecasts: dict[str, Forecast]
    cpu_seconds: float

    def ahead(self, target: str, kind: str) -> list[Ahead]:
        """For a figure: new species by executions, up to ten times those so far."""
        made = self.forecasts.get(target)
        one = made.kinds.get(kind) if made else None
        if made is None or one is None:
            return []
        further = [(times - 1) * made.executions for times in _STEPS]
        return [Ahead(more, *_ends(one.more(more))) for more in further]

    def ahead_together(self, kind: str) -> list[Ahead]:
        """The same for all targets together, by CPU-seconds."""
        spent = self.cpu_seconds
        chosen = [(made.kinds[kind], made.executions) for made in self.forecasts.values() if kind in made.kinds]
        return [
            Ahead((times - 1) * spent, *_ends(together((one, (times - 1) * done) for one, done in chosen)))
            for times in (_STEPS if chosen and spent else ())
        ]


_STEPS = (1.25, 1.6, 2, 3, 5, 10)


def outlook(runs: Iterable[Sequence[Record]]) -> Outlook | None:
    """The forecast of each target, from the campaign that executed it most; None without any forecast.

    Only sessions on a campaign's last parser count.
    """
    most: dict[str, tuple[int, float, Sequence[Record]]] = {}
    for run in runs:
        for name in dict.fromkeys(name for record in run for name in record.targets):
            mine = [record.targets[name] for record in joined.alike(run, name)]
            done = sum(figures.executions for figures in mine)
            if name not in most or done > most[name][0]:
                most[name] = done, sum(figures.cpu_seconds for figures in mine), run
    forecasts = {name: made for name, (_, _, run) in most.items() if (made := joined.forecast(run, name)) is not None}
    if not forecasts:
        return None
    tables = {
        kind: [_line(made, made.kinds[kind]) for made in forecasts.values() if kind in made.kinds] for kind in TOLD
    }
    spent = sum(cpu_seconds for _, cpu_seconds, _ in most.values())
    sentence, attacker = _sentences(forecasts, spent, len(most))
    return Outlook(sentence, attacker, {kind: lines for kind, lines in tables.items() if lines}, forecasts, spent)


def _line(made: Forecast, one: KindForecast) -> Line:
    further = [(times - 1) * made.executions for times in TIMES]
    return Line(
        target=made.target,
        known=one.known,
        hour=one.more(made.rate * 3600),
        times=tuple(one.more(more) for more in further),
        left=one.left,
        chance=one.chance.estimate,
        attacker=tuple(one.attacker(more) for more in further),
        returns=one.returns,
    )


def _sentences(forecasts: dict[str, Forecast], spent: float, targets: int) -> tuple[str, str]:
    """Sentences about another hour, or as much time again if less than an hour was ``spent``; and about an attacker."""
    further = min(spent, HOUR)
    parts = [
        (made.kinds["signatures"], made.executions * further / spent)
        for made in forecasts.values()
        if "signatures" in made.kinds and spent
    ]
    more, done = together(parts), sum(executions for _, executions in parts)
    again = f"As much time again ({duration(spent)} of CPU)"
    budget = "Another hour of CPU time" if further == HOUR else again
    low, high = math.floor(more.low), math.ceil(more.high)
    found = f"{low:,} to {high:,}" if high else "no"
    still = sum(one.returns == "do not diminish yet" for one, _ in parts)
    sentence = f"{budget}, shared alike, would bring {found} more findings ({100 * LEVEL:.0f} % interval)"
    sentence += f"; returns do not diminish yet on {still} of {len(parts)} targets" if still else ""
    dark = targets - len(parts)
    sentence += f"; of {dark} target{'s' * (dark != 1)} too little is known to tell." if dark else "."
    chance = sum(one.attacker(executions) for one, executions in parts)
    attacker = f"An attacker who fuzzes these targets as this harness does, for another {short(done)} executions,"
    if chance >= 1:
        return sentence, f"{attacker} must be expected to find something new."
    return sentence, f"{attacker} finds something new with a probability of at most {chance:.2g} (95 % confidence)."


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.estimate, interval.high
