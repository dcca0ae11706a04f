"""Mutation of programs of target ``huge`` by steps: one edit is one change of the file."""

from __future__ import annotations

import random
from collections.abc import Callable

from harness.targets.huge.program import FIRST_LARGE, KINDS, MAX_STEPS, REPEATED, STEP, Step, anchored, decode, encode

_NAMES = tuple(KINDS)
# Kinds that keep a file valid with any amount and variant: most steps should be of these.
_SOUND = ("tensors", "empties", "name", "metadata", "value", "rank", "big", "space")
# A header of more pieces takes a tenth of a second or more to read.
_LARGE = 10_000
Steps = list[Step]


def mutate(program: bytes, max_size: int, seed: int) -> bytes:
    """Another program of at most ``max_size`` bytes, one to three edits away. ``seed`` decides all random choices."""
    rng = random.Random(seed)
    steps = list(decode(program))
    if rng.random() < 0.7:
        _shorten(steps, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        edit = rng.choice(_EDITS) if steps else _add
        edit(steps, rng)
    return encode(steps[: min(MAX_STEPS, max_size // STEP)])


def _step(rng: random.Random) -> Step:
    return Step(rng.choice(rng.choice((_SOUND, _NAMES))), _amount(rng), rng.randrange(rng.choice((4, 16, 256))))


def _amount(rng: random.Random) -> int:
    """Mostly a small amount, because a large file takes seconds to read; often next to an anchor."""
    byte = rng.randrange(FIRST_LARGE) if rng.random() < 0.93 else rng.randrange(FIRST_LARGE, 256)
    return anchored(byte, rng.choice((0, 0, 0, -1, 1, rng.randrange(-128, 128))))


def _shorten(steps: Steps, rng: random.Random) -> None:
    """Make large repetitions small: not all children of a large program need to be large."""
    for at, step in enumerate(steps):
        if step.kind in REPEATED and step.amount > _LARGE:
            steps[at] = step._replace(amount=anchored(rng.randrange(FIRST_LARGE), 0))


def _at(steps: Steps, rng: random.Random) -> int:
    return rng.randrange(len(steps))


def _add(steps: Steps, rng: random.Random) -> None:
    steps.insert(rng.randint(0, len(steps)), _step(rng))


def _drop(steps: Steps, rng: random.Random) -> None:
    del steps[_at(steps, rng)]


def _repeat(steps: Steps, rng: random.Random) -> None:
    steps.insert(rng.randint(0, len(steps)), steps[_at(steps, rng)])


def _move(steps: Steps, rng: random.Random) -> None:
    step = steps.pop(_at(steps, rng))
    steps.insert(rng.randint(0, len(steps)), step)


def _resize(steps: Steps, rng: random.Random) -> None:
    at = _at(steps, rng)
    amount = steps[at].amount
    near = (amount + 1, amount - 1, amount * 2, amount // 2, amount + 8, _amount(rng), _amount(rng))
    steps[at] = steps[at]._replace(amount=max(0, min(rng.choice(near), KINDS[steps[at].kind].cap)))


def _vary(steps: Steps, rng: random.Random) -> None:
    at = _at(steps, rng)
    steps[at] = steps[at]._replace(variant=rng.randrange(rng.choice((4, 16, 256))))


def _convert(steps: Steps, rng: random.Random) -> None:
    at = _at(steps, rng)
    steps[at] = steps[at]._replace(kind=rng.choice(rng.choice((_SOUND, _NAMES))))


_EDITS: tuple[Callable[[Steps, random.Random], None], ...] = (
    _add, _add, _drop, _drop, _repeat, _move, _resize, _resize, _resize, _vary, _convert,
)  # fmt: skip
