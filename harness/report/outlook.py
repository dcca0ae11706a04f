"""The ledger and its forecast as the page tells them: what was bought, what more would buy, and what an attacker would find."""

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

#: What is told in a table each, with its name in the page.
TOLD = {"signatures": "findings", "edges": "edges"}


@dataclass(frozen=True, slots=True)
class Line:
    """One target: new ones that another CPU-hour and multiples of what was spent would bring, and the attacker's side."""

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
    """``tables`` by kind; ``sentence`` for the head of the page; ``attacker`` says the same seen from the other side.

    ``cpu_seconds`` is what all targets took on the parsers of the forecasts, those of which too little is known for one too.
    """

    sentence: str
    attacker: str
    tables: dict[str, list[Line]]
    forecasts: dict[str, Forecast]
    cpu_seconds: float

    def ahead(self, target: str, kind: str) -> list[Ahead]:
        """For a figure: how many new ones so many executions more bring, up to ten times what was spent."""
        made = self.forecasts.get(target)
        one = made.kinds.get(kind) if made else None
        if made is None or one is None:
            return []
        further = [(times - 1) * made.executions for times in _STEPS]
        return [Ahead(more, *_ends(one.more(more))) for more in further]

    def ahead_together(self, kind: str) -> list[Ahead]:
        """The same of all targets, over CPU-seconds."""
        spent = self.cpu_seconds
        chosen = [(made.kinds[kind], made.executions) for made in self.forecasts.values() if kind in made.kinds]
        return [
            Ahead((times - 1) * spent, *_ends(together((one, (times - 1) * done) for one, done in chosen)))
            for times in (_STEPS if chosen and spent else ())
        ]


_STEPS = (1.25, 1.6, 2, 3, 5, 10)


def outlook(runs: Iterable[Sequence[Record]]) -> Outlook | None:
    """What the sessions of campaigns let expect, of each target from the campaign that executed it most; None where none tells enough.

    Of a campaign that ran a target on several parsers, the sessions on the last one count: the forecast is of that.
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
    """What an hour more would bring, or as much again where less than an hour was ``spent`` on all; and what it would an attacker."""
    further = min(spent, HOUR)
    parts = [
        (made.kinds["signatures"], made.executions * further / spent)
        for made in forecasts.values()
        if "signatures" in made.kinds and spent
    ]
    more, done = together(parts), sum(executions for _, executions in parts)
    budget = "Another hour of CPU time" if further == HOUR else f"As much time again ({duration(spent)} of CPU)"
    low, high = math.floor(more.low), math.ceil(more.high)
    found = f"{low:,} to {high:,}" if high else "no"
    still = sum(one.returns == "do not diminish yet" for one, _ in parts)
    sentence = f"{budget}, shared alike, would bring {found} more findings ({100 * LEVEL:.0f} % interval)"
    sentence += f"; returns do not diminish yet on {still} of {len(parts)} targets" if still else ""
    dark = targets - len(parts)
    sentence += f"; of {dark} target{'s' * (dark != 1)} too little is known to tell." if dark else "."
    chance = sum(one.attacker(executions) for one, executions in parts)
    whoever = f"Whoever fuzzes these targets as this harness does, for another {short(done)} executions,"
    if chance >= 1:
        return sentence, f"{whoever} must be expected to find something new."
    return sentence, f"{whoever} finds something new with a probability of at most {chance:.2g} (95 % confidence)."


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.estimate, interval.high
