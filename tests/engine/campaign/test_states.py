"""The state of each target, told from campaign.json."""

from __future__ import annotations

from typing import Any

import pytest

from harness.engine.campaign import states
from harness.engine.campaign.states import State


def session(ended: str = "time", **more: Any) -> dict[str, Any]:
    spent = {
        "ran": {"executions": 100, "seeds": 10},
        "short": {"executions": 3, "seeds": 10},
        "late": {"executions": 0},
    }
    told = {
        "targets": [*spent, "broken"],
        "per_target": spent,
        "not_fuzzed": ["short", "late", "broken"],
        "ended": ended,
    }
    return told | {"left_out": {"broken": "no such library"}, "not_installed": {"jax": "jax is not installed"}} | more


def test_every_state_has_its_reason() -> None:
    assert states.states([session()]) == {
        "ran": State(),
        "short": State(states.SEEDS, "it ran 3 of its 10 seeds and nothing else"),
        "late": State(states.IDLE, "the time ended before it ran an input"),
        "broken": State(states.LEFT_OUT, "no such library"),
        "jax": State(states.NOT_INSTALLED, "jax is not installed"),
    }


def test_what_ran_in_one_session_ran_and_what_the_last_one_left_out_is_left_out() -> None:
    spent = {"executions": 500, "seeds": 10}
    more: dict[str, Any] = {
        "targets": ["late", "ran", "jax"],
        "per_target": {"late": spent},
        "left_out": {"ran": "it broke"},
    }
    found = states.states([session(), session(not_fuzzed=[], not_installed={}, **more)])
    assert found["late"].ran
    assert found["short"].name == states.SEEDS
    assert found["ran"] == State(states.LEFT_OUT, "it broke")
    # It was installed in between.
    assert found["jax"].name == states.IDLE
    # It is not installed any more.
    ran: dict[str, Any] = {"targets": ["jax"], "per_target": {"jax": spent}, "not_installed": {}, "left_out": {}}
    assert states.states([session(**ran), session()])["jax"].ran


@pytest.mark.parametrize(
    ("ended", "words"),
    [("interrupted", "interrupted"), ("error", "failed"), ("runs", "worker"), ("", "killed"), (7, "killed")],
)
def test_a_target_without_a_turn_is_told_why_the_session_ended(ended: str, words: str) -> None:
    assert words in states.states([session(ended)])["late"].reason


def test_nonsense_is_read_as_far_as_it_makes_sense() -> None:
    assert states.states([{}, {"targets": 3, "left_out": [], "not_installed": "x"}]) == {}
    assert states.states([{"per_target": {"a": 7}, "not_fuzzed": 3}])["a"].name == states.IDLE
    # Written before there was the key: what ran counts as run.
    assert states.states([{"per_target": {"a": {"executions": 5}}}])["a"].ran


def test_one_line_for_those_that_are_alike() -> None:
    found = states.states([session(targets=["ran", "late", "later"])])
    assert states.told(found) == "4 of 6 targets did not run, 1 is not installed"
    assert "late, later: no execution: the time ended before it ran an input" in states.lines(found)
    assert states.told({"ran": State()}) == ""
    assert states.told({"ran": State(), "jax": found["jax"]}) == "1 is not installed"
    assert states.told({"jax": found["jax"]}) == states.told({"late": found["late"]}) == "no target ran"


def test_of_several_campaigns_the_one_counts_in_which_it_did_not_run() -> None:
    ran, idle, absent = State(), State(states.IDLE, "no turn"), State(states.NOT_INSTALLED, "no jax")
    assert states.together([{"a": ran, "b": absent, "c": idle}, {"a": idle, "b": ran, "c": ran}, {"a": absent}]) == {
        "a": idle,
        "b": ran,
        "c": idle,
    }
