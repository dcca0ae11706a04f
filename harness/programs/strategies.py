"""Hypothesis strategies for programs, and shrinking of programs by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, find, settings
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase, choices_to_bytes
from hypothesis.errors import NoSuchExample

from harness.programs.steps import STEP, Step, Vocabulary

_KEY = b"program"


def programs(vocabulary: Vocabulary, max_steps: int | None = None) -> st.SearchStrategy[bytes]:
    """Programs of at most ``max_steps`` steps, mostly with usual arguments."""
    steps = []
    for number, kind in enumerate(vocabulary.kinds):
        arguments = [st.one_of(st.sampled_from(list(values)), st.integers(0, 255)) for values in kind.usual]
        steps.append(st.tuples(st.just(number), *arguments).map(lambda drawn: Step(*drawn)))
    rows = st.lists(st.one_of(steps), max_size=max_steps or vocabulary.max_steps)
    return rows.map(vocabulary.encode)


def _plain(vocabulary: Vocabulary) -> st.SearchStrategy[bytes]:
    """Any programs. :func:`_choices` knows how this strategy draws them."""
    number = st.integers(0, 255)
    step = st.builds(Step, st.integers(0, len(vocabulary.kinds) - 1), number, number, number)
    return st.lists(step, max_size=vocabulary.max_steps).map(vocabulary.encode)


def _choices(vocabulary: Vocabulary, program: bytes) -> list[Any]:
    """The choices of :func:`_plain` for ``program``: True before each step, then the four numbers of the step."""
    drawn: list[Any] = []
    steps = vocabulary.decode(program)
    for step in steps:
        drawn += [True, *step]
    return drawn if len(steps) == vocabulary.max_steps else [*drawn, False]


def shrink(vocabulary: Vocabulary, program: bytes, keep: Callable[[bytes], bool], *, most: int = 2000) -> bytes:
    """The simplest program with ``keep(program)`` that Hypothesis finds, in about ``most`` calls of ``keep`` at most.

    Hypothesis finds ``program`` in its database, like an earlier failure, and shrinks it: fewer steps, then smaller kinds
    and arguments. Returns ``program`` itself where ``keep`` rejects its re-encoded form.
    """
    database = InMemoryExampleDatabase()
    # One extra choice: Hypothesis takes an entry that replays exactly for shrunk already.
    database.save(_KEY, choices_to_bytes([*_choices(vocabulary, program), 0]))
    chosen = settings(
        database=database,
        max_examples=most,
        phases=(Phase.reuse, Phase.shrink),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    try:
        found = find(_plain(vocabulary), keep, settings=chosen, database_key=_KEY)
    except NoSuchExample:
        return program
    return found if len(found) <= max(len(program), STEP) else program
