"""Valid files over the whole format, from random numbers alone."""

from __future__ import annotations

from harness.format.tree import LENGTH, prefix, text
from harness.mutate.parts import DTYPES, FILL, NAMES, QUOTED, SHAPES, TEXTS
from harness.mutate.rng import Rng

_SPACES = (b"", b"", b"", b"", b" ", b"\n", b"\t", b"\r\n", b"  ")
_FIELD_ORDERS = ((0, 1, 2), (0, 1, 2), (0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def generate(rng: Rng) -> bytes:
    """Return a valid file of 0 to 6 tensors: any dtype, rank 0 to 8, any order of keys and data, spaces, padding."""
    # By decoded name: the same name in two spellings is a duplicate.
    names: dict[str | None, bytes] = {}
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 6))):
        name = rng.choice(NAMES)
        names[text(name)] = name
    space = rng.choice(_SPACES)
    colon, comma = b":" + space, space + b"," + space
    members: list[bytes] = []
    begin = 0
    for name in names.values():
        dtype = rng.choice(DTYPES)
        shape, size = rng.choice(SHAPES[dtype])
        fields = (
            b'"dtype"' + colon + QUOTED[dtype],
            b'"shape"' + colon + shape.replace(b",", comma),
            b'"data_offsets"' + colon + b"[%d%b%d]" % (begin, comma, begin + size),
        )
        order = rng.choice(_FIELD_ORDERS)
        members.append(name + colon + b"{" + comma.join([fields[i] for i in order]) + b"}")
        begin += size
    if rng.below(3) == 0:
        # Text of the header need not follow the order of the data.
        members.reverse()
    if rng.below(3) == 0:
        members.insert(rng.below(len(members) + 1), b'"__metadata__"' + colon + metadata(rng, colon, comma))
    header = b"{" + space + comma.join(members) + space + b"}"
    padding = rng.choice((0, 0, 1, -len(header) % LENGTH, 8))
    return prefix(len(header) + padding) + header + b" " * padding + (FILL * (begin // len(FILL) + 1))[:begin]


def metadata(rng: Rng, colon: bytes = b":", comma: bytes = b",") -> bytes:
    """Return an object of 0 to 3 strings, as JSON."""
    pairs: dict[str | None, bytes] = {}
    for _ in range(rng.below(4)):
        key = rng.choice(NAMES)
        pairs[text(key)] = key + colon + rng.choice(TEXTS)
    return b"{" + comma.join(pairs.values()) + b"}"
