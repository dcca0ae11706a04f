"""Whether each target of a campaign ran, and why not. Every output asks :func:`states`, so that all say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.foreign_json import number, table

#: The states of a target in a campaign.
RAN, SEEDS, IDLE, LEFT_OUT, NOT_INSTALLED = "ran", "not past its seeds", "no execution", "left out", "not installed"
#: Why a session ended before a target's turn, by what campaign.json says of its end.
_ENDS = {
    "time": "the time ended before it ran an input",
    "interrupted": "the campaign was interrupted before it ran an input",
    "error": "the campaign failed before it ran an input",
    "runs": "its worker ended before it ran an input",
    "never": "no campaign asked for it",
    "": "the campaign was killed, or still runs, and it has run no input",
}


@dataclass(frozen=True, slots=True)
class State:
    """The state of a target, one of those above. ``reason`` is a clause; "" for a target that ran."""

    name: str = RAN
    reason: str = ""

    @property
    def ran(self) -> bool:
        """Whether inputs were fuzzed: more than the seeds ran."""
        return self.name == RAN

    @property
    def able(self) -> bool:
        """Whether it could have run here."""
        return self.name != NOT_INSTALLED

    @property
    def words(self) -> str:
        """State and reason."""
        return f"{self.name}: {self.reason}" if self.able else self.reason

    def as_json(self) -> dict[str, str]:
        """Both as plain values."""
        return {"state": self.name, "reason": self.reason}


def states(sessions: Iterable[Mapping[str, Any]]) -> dict[str, State]:
    """The state of each target that ``sessions`` of one campaign.json asked for, or could not ask for.

    A target that ran in one session ran. One that the last session which asked for it left out is left out. The content of
    campaign.json may be incomplete or damaged.
    """
    asked: dict[str, list[Mapping[str, Any]]] = {}
    absent: dict[str, str] = {}
    for session in sessions:
        listed = session.get("targets")
        names = [*(listed if isinstance(listed, list) else ()), *table(session.get("per_target"))]
        for name in dict.fromkeys(map(str, [*names, *table(session.get("left_out"))])):
            asked.setdefault(name, []).append(session)
            absent.pop(name, None)
        absent |= {str(name): str(reason) for name, reason in table(session.get("not_installed")).items()}
    found = {name: _state(name, own) for name, own in asked.items()}
    ran = {name for name, state in found.items() if state.ran}
    return found | {name: State(NOT_INSTALLED, why) for name, why in absent.items() if name not in ran}


def not_run(sessions: Iterable[Mapping[str, Any]]) -> dict[str, State]:
    """Those of :func:`states` that did not run."""
    return {name: state for name, state in states(sessions).items() if not state.ran}


def as_json(sessions: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """:func:`not_run` as plain values."""
    return {name: state.as_json() for name, state in not_run(sessions).items()}


def together(campaigns: Iterable[Mapping[str, State]]) -> dict[str, State]:
    """One state for each target of several campaigns: that of a campaign in which it did not run though it could, if any."""
    found: dict[str, State] = {}
    for one in campaigns:
        for name, state in one.items():
            before = found.get(name)
            if before is None or not before.able or (before.ran and not state.ran and state.able):
                found[name] = state
    return found


def _state(name: str, sessions: list[Mapping[str, Any]]) -> State:
    if reason := table(sessions[-1].get("left_out")).get(name):
        return State(LEFT_OUT, str(reason))
    figures = [table(table(session.get("per_target")).get(name)) for session in sessions]
    executions = sum(number(one.get("executions")) for one in figures)
    if not executions:
        return State(IDLE, _ENDS.get(str(sessions[-1].get("ended") or ""), _ENDS[""]))
    seeds = max(number(one.get("seeds")) for one in figures)
    if all(_in_its_seeds(name, *both) for both in zip(sessions, figures, strict=True)):
        return State(SEEDS, f"it ran {min(executions, seeds):.0f} of its {seeds:.0f} seeds and nothing else")
    return State()


def _in_its_seeds(name: str, session: Mapping[str, Any], figures: Mapping[str, Any]) -> bool:
    idle = session.get("not_fuzzed")
    return not figures.get("executions") or (isinstance(idle, list) and name in idle)


def told(found: Mapping[str, State]) -> str:
    """How many of ``found`` did not run, as a clause that names those that are not installed apart; "" where all ran."""
    if found and not any(state.ran for state in found.values()):
        return (
            "no target got past its seeds" if any(state.name == SEEDS for state in found.values()) else "no target ran"
        )
    idle = sum(not state.ran and state.able for state in found.values())
    absent = sum(not state.able for state in found.values())
    parts = [f"{idle} of {len(found)} target{'s' * (len(found) > 1)} did not run"] if idle else []
    parts += [f"{absent} {'is' if absent == 1 else 'are'} not installed"] if absent else []
    return ", ".join(parts)


def alike(found: Mapping[str, State]) -> list[tuple[str, State]]:
    """Those of ``found`` that did not run, by state and reason: their names, separated by commas."""
    groups: dict[State, list[str]] = {}
    for name, state in found.items():
        if not state.ran:
            groups.setdefault(state, []).append(name)
    return [(", ".join(names), state) for state, names in groups.items()]


def lines(found: Mapping[str, State]) -> list[str]:
    """:func:`alike`, a line each."""
    return [f"{names}: {state.words}" for names, state in alike(found)]
