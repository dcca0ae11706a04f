"""Valid files over the whole format, from random numbers alone."""

from __future__ import annotations

from harness.format.tree import LENGTH, prefix, text
from harness.mutate.repair import DTYPES, FILL, QUOTED, SHAPES
from harness.mutate.rng import Rng

NAMES: tuple[bytes, ...] = tuple(
    b'"' + name + b'"'
    for name in (
        b"a",
        b"b",
        b"w",
        b"x.weight",
        b"model.layers.0.attn.q_proj.weight",
        b"",
        b" ",
        b".",
        b"..",
        b"/",
        b"../../etc/passwd",
        b"a/b\\\\c",
        b"0",
        b"-1",
        b"null",
        b"dtype",
        b"shape",
        b"data_offsets",
        b"__metadata",
        b"__metadata__ ",
        b"__Metadata__",
        b"metadata__",
        b"__metadata__.a",
        b"__class__",
        b"__proto__",
        b"\\u0000",
        b"a\\u0000b",
        b'\\"',
        b"\\\\",
        b"\\/",
        b"\\b\\f\\n\\r\\t",
        b"\\u00e9",
        "é".encode(),
        "e\u0301".encode(),
        "名前".encode(),
        "\U0001f917".encode(),
        b"\\ud83e\\udd17",
        "\u2028".encode(),
        "\ufeff".encode(),
        "\u202e".encode(),
        "\U0010ffff".encode(),
        b"\x7f",
        b"%s%n{}",
        b"A" * 64,
        b"x" * 300,
    )
)
"""Names of tensors and keys of metadata, as written: all of them are valid JSON."""

TEXTS: tuple[bytes, ...] = (
    b'""',
    b'"pt"',
    b'"np"',
    b'"1"',
    b'"{}"',
    b'"{\\"a\\":[1]}"',
    b'"\\u0000"',
    '"ü"'.encode(),
    '"\U0001f600"'.encode(),
    b'"\\ud83d\\ude00"',
    b'"' + b"v" * 200 + b'"',
)
"""Values of metadata, as written."""

_SPACES = (b"", b"", b"", b"", b" ", b"\n", b"\t", b"\r\n", b"  ")
_FIELD_ORDERS = ((0, 1, 2), (0, 1, 2), (0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def generate(rng: Rng) -> bytes:
    """Return a valid file of 0 to 6 tensors: any dtype, rank 0 to 8, any order of keys and data, spaces, padding."""
    # By what they say: the same name in two spellings is a duplicate.
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
