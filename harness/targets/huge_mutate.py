"""Mutation of the programs of ``huge``: on steps, not on bytes, so that one edit is one change of the file."""

from __future__ import annotations

import random
from collections.abc import Callable

from harness.targets.huge_program import KINDS, MAX_STEPS, STEP, Step, anchored, decode, encode

_NAMES = tuple(KINDS)
# Steps that leave a valid file valid, whatever their amount and variant: most of a program should be these.
_SOUND = ("tensors", "empties", "name", "metadata", "value", "rank", "big", "space")
Steps = list[Step]


def mutate(program: bytes, max_size: int, seed: int) -> bytes:
    """Another program of at most ``max_size`` bytes, one to three edits away. All that is random comes from ``seed``."""
    rng = random.Random(seed)
    steps = list(decode(program))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        edit = rng.choice(_EDITS) if steps else _add
        edit(steps, rng)
    return encode(steps[: min(MAX_STEPS, max_size // STEP)])


def _step(rng: random.Random) -> Step:
    return Step(rng.choice(rng.choice((_SOUND, _NAMES))), _amount(rng), rng.randrange(rng.choice((4, 16, 256))))


def _amount(rng: random.Random) -> int:
    """As a random byte of a program has it: mostly small, now and then at a limit; often one beside the anchor."""
    return anchored(rng.randrange(256), rng.choice((0, 0, 0, -1, 1, rng.randrange(-128, 128))))


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
