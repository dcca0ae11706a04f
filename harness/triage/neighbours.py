"""Inputs that are one edit away from a given one: a piece less, as the minimiser removes it, or one step of a mutator."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from harness.format.tree import Doc
from harness.mutate import OPERATORS
from harness.mutate.rng import Rng
from harness.programs.steps import STEP, Vocabulary
from harness.targets.base import Target
from harness.triage.minimize import minimize

_ROUNDS = 3


def neighbours(target: Target, data: bytes, most: int) -> list[bytes]:
    """At most ``most`` different inputs that one edit makes of ``data``, spread over all kinds of edits."""
    longest = max(target.max_len, len(data))
    # The minimiser removes structure first, then bytes.
    less = [one for one in dict.fromkeys(removals(target, data)) if one != data][: most // 2]
    met = {data, *less}
    other = [one for one in dict.fromkeys(edits(target, data)) if one not in met and len(one) <= longest]
    step = max(len(other) / (most - len(less)), 1.0)
    other = [other[int(at * step)] for at in range(int(len(other) / step))]
    return [one for pair in zip_longest(less, other) for one in pair if one is not None]


def removals(target: Target, data: bytes) -> list[bytes]:
    """The first candidates of the minimiser: each has a piece less than ``data``."""
    made: list[bytes] = []

    def keep(candidate: bytes) -> bool:
        made.append(candidate)
        return candidate == data

    minimize(data, keep, unit=target.unit)
    return made


def edits(target: Target, data: bytes) -> Iterator[bytes]:
    """One step of a mutator: an argument or a call of a program, or an operator on a file."""
    if target.vocabulary is not None:
        yield from _arguments(target.vocabulary, data)
    elif (mutate := target.mutator()) is not None:
        yield from (mutate(data, target.max_len, seed) for seed in range(64))
    else:
        doc = Doc(data)
        for seed in range(_ROUNDS):
            for operator in OPERATORS.values():
                if len(doc.tensors) >= operator.tensors:
                    yield from operator.apply(doc, Rng(seed))


def _arguments(words: Vocabulary, data: bytes) -> Iterator[bytes]:
    """Programs with one argument or the kind of one call changed, or with one more call."""
    steps = [data[at : at + STEP].ljust(STEP, b"\0") for at in range(0, len(data), STEP)]
    for at, step in enumerate(steps):
        before, after = b"".join(steps[:at]), b"".join(steps[at + 1 :])
        kind = step[0] % len(words.kinds)
        for place, values in enumerate(words.kinds[kind].usual, 1):
            yield from (before + step[:place] + bytes((value,)) + step[place + 1 :] + after for value in values)
        yield from (before + bytes((other,)) + step[1:] + after for other in range(len(words.kinds)))
    if len(steps) < words.max_steps:
        yield from (data + bytes((kind,)).ljust(STEP, b"\0") for kind in range(len(words.kinds)))
