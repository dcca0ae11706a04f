"""The right end of a call within ambient states: that of the same call without them, or a documented change of it."""

from __future__ import annotations

import re
from typing import NamedTuple

from harness.findings.finding import normalise
from harness.observation import ACCEPT, PANIC, REJECT
from harness.targets.ambient import answers
from harness.targets.ambient.calls import Made
from harness.targets.ambient.program import PATHS, WITH_PATH, Program
from harness.targets.ambient.states import STATES, last_directory

#: The dtype in an error of torch.
_DTYPE = re.compile(r"\bScalarType \w+")


class Expected(NamedTuple):
    """The call without states (``plain``), and the words of the state that makes the difference; "" where there is none."""

    plain: Made
    culprit: str


def wrong(program: Program, plain: Made, made: Made) -> str:
    """How the end of a call differs from the right one, in words that are the same for the same defect; "" for a right end.

    Python documents three changes. A relative path needs a current directory. A warning is an exception where a filter
    says "error". A full stack raises RecursionError. The byte order changes answers as :func:`answers.swapped` says.
    """
    call = made.call
    same = (plain.outcome, normalise(plain.error)) == (made.outcome, normalise(made.error))
    entered = {(state.kind, state.value): state for state in (STATES[number] for number in call.states)}
    big = ("byte order", "big") in entered
    # Torch puts the words of this error into one of its own.
    full = "maximum recursion depth" in made.error and any(state.limit for state in entered.values())
    documented = full or (isinstance(made.answer, Warning) and ("warnings", "error") in entered)
    if made.outcome == PANIC:
        # The oracle `contract` reports it.
        return ""
    if call.kind in WITH_PATH and PATHS[call.path][1] and last_directory(call.states) == "removed":
        if made.outcome != ACCEPT:
            # Some calls fail before they look for the path.
            right = same or made.outcome == REJECT or isinstance(made.answer, OSError) or documented
            return "" if right else _error(made)
        # A removed directory keeps its parent.
        if not PATHS[call.path][0].startswith("../"):
            return "accepted without a directory"
    if made.outcome != ACCEPT:
        if same or documented:
            return ""
        # Upstream's tests: "FNUZ on big-endian is never a real deployment target".
        if big and any(dtype.endswith("FNUZ") for _, dtype, _, _ in program.tensors):
            return ""
        return _error(made)
    if plain.outcome != ACCEPT:
        return f"accepted, and without the state {plain.outcome}"
    return answers.difference(answers.swapped(plain.answer) if big else plain.answer, made.answer)


def _error(made: Made) -> str:
    """The error by its first line: the lines after it name tensors."""
    words = normalise(made.error.partition("\n")[0])
    return f"{'refused' if made.outcome == REJECT else 'raises'} {_DTYPE.sub('ScalarType _', words)}"
