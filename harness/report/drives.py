"""The figures of each target, summed up over sessions of campaign.json, whose content may be incomplete or damaged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.engine.campaign.figures import TargetFigures
from harness.engine.campaign.states import State, states
from harness.engine.worker.tally import STAGES
from harness.foreign_json import table
from harness.parsers import api

#: Characters of a line of :func:`not_driven` in a report.
MOST_TOLD = 1200


@dataclass(slots=True)
class Drive(TargetFigures):
    """One target's figures over any number of sessions.

    ``state``: whether it ran. ``signatures`` is set by callers that know the findings.
    """

    signatures: int = 0
    state: State = field(default_factory=State)

    @property
    def ends(self) -> list[tuple[str, float]]:
        """The share of executions that each stage ended, as (class in the style sheet, share), in the order of the stages."""
        whole = self.stages.total()
        return [(f"t{place}", self.stages[stage] / whole) for place, stage in enumerate(STAGES) if whole]


def not_driven(sessions: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each parser of ``sessions`` that lacks parts of the API: these, and the calls that were left out for it."""
    lines = (
        api.told(str(session.get("parser", "")), map(str, lacks))
        for session in sessions
        if isinstance(lacks := session.get("lacks"), list)
    )
    return list(dict.fromkeys(filter(None, lines)))


def drives(sessions: Iterable[Mapping[str, Any]]) -> dict[str, Drive]:
    """The drive of each target in ``sessions`` of campaign.json, in the order of :func:`harness.engine.campaign.states.states`."""
    every = list(sessions)
    found = {name: Drive(state=state) for name, state in states(every).items()}
    for session in every:
        for name, spent in table(session.get("per_target")).items():
            found[name].add(table(spent))
    return found
