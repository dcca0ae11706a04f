"""The programs of target ``huge``: a few bytes for a file with up to 100 MB of header and terabytes of buffer.

A program is a sequence of steps of four bytes: a kind, an amount (an anchor and a signed distance from it), and a variant.
Any bytes are a program: missing bytes read as zero, and large amounts are clipped. Most steps add a repetitive piece of
header. The others change the frame around it: length prefix, padding, buffer, a cut.

:mod:`harness.targets.huge.layout` knows the right verdict from the steps, without the judge and the parser.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

STEP = 4
MAX_STEPS = 64
#: The limit of the header in bytes: a little more than the limit of the format.
HEADER_CAP = 101_000_000
#: The limit of the sparse buffer in bytes: above all 32-bit limits, well below the address space of a process.
BUFFER_CAP = 1 << 42
#: The limit of tensors or entries of one step: enough to show a growing cost, few enough to read in seconds.
PIECES_CAP = 65_536

_SMALL = (0, 1, 2, 3, 4, 7, 8, 9, 16, 31, 32, 64, 127, 128, 255, 256, 1_000, 1_024, 4_096, 10_000)
_LARGE = (
    32_768, 65_536, 100_000, 200_000, 300_000, 1_000_000, 4_000_000, 1 << 24, 50_000_000, 99_999_900, 100_000_000,
    1 << 31, 1 << 32, 1 << 33, 1 << 40, 1 << 41, 1 << 62, 1 << 63, (1 << 64) - 1,
)  # fmt: skip
_ANCHORS = _SMALL + _LARGE
# Three quarters of all bytes select a small anchor: most random programs are quick, and a few are very large.
FIRST_LARGE = 192


class Kind(NamedTuple):
    """A kind of step: its description, and its largest amount in bytes or pieces."""

    words: str
    cap: int


#: The order is the encoding: new kinds go to the end.
KINDS: dict[str, Kind] = {
    "tensors": Kind("tensors of a few bytes", PIECES_CAP),
    "empties": Kind("tensors with a zero dimension", PIECES_CAP),
    "name": Kind("characters in one tensor's name", HEADER_CAP),
    "metadata": Kind("entries in __metadata__", PIECES_CAP),
    "value": Kind("characters in one metadata value", HEADER_CAP),
    "rank": Kind("dimensions of one tensor", 4_000_000),
    "depth": Kind("brackets inside one another", 20_000_000),
    "digits": Kind("digits in one number", 20_000_000),
    "duplicates": Kind("tensors that share one name", PIECES_CAP),
    "big": Kind("bytes in one tensor", BUFFER_CAP),
    "space": Kind("bytes of white space inside the JSON", HEADER_CAP),
    "string": Kind("bytes in a string that is never closed", HEADER_CAP),
    "pad": Kind("bytes after the JSON, inside the header", HEADER_CAP),
    "pad-to": Kind("bytes that the padding fills the header up to", HEADER_CAP),
    "buffer": Kind("bytes of buffer that no tensor owns (or, odd variant, that are missing)", BUFFER_CAP),
    "prefix": Kind("added to the length prefix (odd variant: taken away)", (1 << 64) - 1),
    "prefix-is": Kind("as the length prefix, whatever the header", (1 << 64) - 1),
    "cut": Kind("bytes that are left of the file", BUFFER_CAP),
}
_NAMES = tuple(KINDS)

#: Kinds whose cost to a reader may grow with their amount. Half the amount makes half the file.
REPEATED = frozenset(_NAMES[: _NAMES.index("buffer")]) - {"big"}


class Step(NamedTuple):
    """One step: a kind of :data:`KINDS`, an amount, and a variant of the kind (0 to 255)."""

    kind: str
    amount: int
    variant: int = 0


def decode(program: bytes) -> tuple[Step, ...]:
    """The steps of a program. Never raises."""
    steps = []
    for at in range(0, min(len(program), STEP * MAX_STEPS), STEP):
        kind, anchor, delta, variant = program[at : at + STEP].ljust(STEP, b"\0")
        name = _NAMES[kind % len(_NAMES)]
        amount = anchored(anchor, delta - 256 if delta > 127 else delta)
        steps.append(Step(name, min(amount, KINDS[name].cap), variant))
    return tuple(steps)


def encode(steps: Iterable[Step]) -> bytes:
    """The program of these steps. It rounds amounts that are further than 127 from an anchor."""
    return b"".join(_encode_step(step) for step in steps)


def anchored(byte: int, delta: int) -> int:
    """The amount of an anchor's byte (0 to 255) and a distance from the anchor; at least 0."""
    small = byte < FIRST_LARGE
    anchor = _SMALL[byte % len(_SMALL)] if small else _ANCHORS[(byte - FIRST_LARGE) % len(_ANCHORS)]
    return max(0, anchor + delta)


def _encode_step(step: Step) -> bytes:
    cap = KINDS[step.kind].cap
    wanted = next(anchor for anchor in _ANCHORS if anchor >= cap) if step.amount >= cap else step.amount
    index = min(range(len(_ANCHORS)), key=lambda i: abs(_ANCHORS[i] - wanted))
    delta = max(-128, min(127, wanted - _ANCHORS[index]))
    byte = index if index < len(_SMALL) else FIRST_LARGE + index
    return bytes((_NAMES.index(step.kind), byte, delta & 0xFF, step.variant & 0xFF))


def halved(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The same file at half its size: half of each repetition, with the same frame."""
    return tuple(step._replace(amount=step.amount // 2) if step.kind in REPEATED else step for step in steps)


def seeds() -> dict[str, bytes]:
    """Initial programs by name: one per kind of step, and both sides of the limits of the format."""
    limit = 100_000_000
    plans: dict[str, tuple[Step, ...]] = {
        "nothing": (),
        "tensors": (Step("tensors", 1_000), Step("empties", 3), Step("metadata", 3)),
        "many-tensors": (Step("tensors", 65_536),),
        "long-name": (Step("name", 65_536, 1), Step("tensors", 2)),
        "escaped-name": (Step("name", 4_096, 4), Step("value", 4_096, 2)),
        "metadata": (Step("metadata", 10_000), Step("tensors", 1)),
        "rank": (Step("rank", 4_096), Step("rank", 255, 1), Step("tensors", 1)),
        "depth": (Step("depth", 128), Step("tensors", 1)),
        "depth-metadata": (Step("depth", 10_000, 1),),
        "digits": (Step("digits", 4_096),),
        "duplicates": (Step("duplicates", 1),),
        "past-4-GB": (Step("tensors", 2), Step("big", 1 << 32), Step("tensors", 2, 3)),
        "past-1-TB": (Step("big", 1 << 40), Step("tensors", 1)),
        "white-space": (Step("space", 4_096), Step("tensors", 1)),
        "open-string": (Step("string", 4_096),),
        "padded": (Step("tensors", 1), Step("pad", 7)),
        "at-limit": (Step("tensors", 1), Step("pad-to", limit)),
        "past-limit": (Step("tensors", 1), Step("pad-to", limit + 1)),
        "prefix-past-limit": (Step("tensors", 1), Step("prefix-is", limit + 1)),
        "prefix-2^31": (Step("prefix-is", 1 << 31),),
        "prefix-2^63": (Step("prefix-is", 1 << 63),),
        "prefix-2^64-1": (Step("prefix-is", (1 << 64) - 1),),
        "prefix-one-more": (Step("tensors", 2), Step("prefix", 1)),
        "prefix-one-less": (Step("tensors", 2), Step("prefix", 1, 1)),
        "hole-at-the-end": (Step("tensors", 2), Step("buffer", 1 << 32)),
        "cut": (Step("tensors", 4), Step("cut", 128)),
    }  # fmt: skip
    return {name: encode(steps) for name, steps in plans.items()}
