"""Parts of new files: dtypes, shapes, names, texts, bytes."""

from __future__ import annotations

from math import prod

from harness.format.dtypes import DTYPE_BITS
from harness.mutate.rng import Rng

Shape = tuple[bytes, int]
"""A shape as written, and the bytes of a tensor that has it."""

DTYPES: tuple[str, ...] = tuple(DTYPE_BITS)
QUOTED: dict[str, bytes] = {name: b'"' + name.encode() + b'"' for name in DTYPES}
FILL = bytes(range(256)) * 32
"""New bytes of a buffer; equal bytes lie 256 apart."""
ROOM = 128
"""Most bytes of a tensor made here: small inputs run faster."""


def dims_text(dims: tuple[int, ...]) -> bytes:
    """Return a shape as JSON."""
    return b"[%b]" % ",".join(map(str, dims)).encode()


def _shapes(bits: int) -> tuple[Shape, ...]:
    """Return small shapes of rank 0 to 8 that elements of ``bits`` bits can have, the usual ranks more often."""
    rng = Rng(bits)
    found: list[Shape] = []
    while len(found) < 256:
        dims: list[int] = []
        room = ROOM * 8 // bits
        for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8))):
            dim = rng.choice((0, 1, 1, 1, 2, 2, 3, 4, 5, 8))
            room //= max(1, dim)
            dims.append(dim if room else 1)
        if prod(dims) * bits % 8:
            # Sub-byte elements: a multiple of four of them fills whole bytes, whatever their width.
            dims.append(4)
        found.append((dims_text(tuple(dims)), prod(dims) * bits // 8))
    return tuple(found)


_BY_BITS = {bits: _shapes(bits) for bits in sorted(set(DTYPE_BITS.values()))}
SHAPES: dict[str, tuple[Shape, ...]] = {name: _BY_BITS[bits] for name, bits in DTYPE_BITS.items()}
"""By dtype: shapes that go with it, each at most about ROOM bytes."""

_MIX = Rng(1)
KINDS: tuple[tuple[bytes, bytes, int], ...] = tuple(
    (QUOTED[dtype], *_MIX.choice(SHAPES[dtype])) for _ in range(40) for dtype in DTYPES
)
"""Dtype and shape as written, and the bytes that such a tensor takes."""

NAMES: tuple[bytes, ...] = tuple(
    b'"' + name + b'"'
    for name in (
        b"a", b"b", b"w", b"x.weight", b"model.layers.0.attn.q_proj.weight", b"", b" ", b".", b"..", b"/",
        b"../../etc/passwd", b"a/b\\\\c", b"0", b"-1", b"null", b"dtype", b"shape", b"data_offsets", b"__metadata",
        b"__metadata__ ", b"__Metadata__", b"metadata__", b"__metadata__.a", b"__class__", b"__proto__", b"\\u0000",
        b"a\\u0000b", b'\\"', b"\\\\", b"\\/", b"\\b\\f\\n\\r\\t", b"\\u00e9", "é".encode(), "e\u0301".encode(),
        "名前".encode(), "\U0001f917".encode(), b"\\ud83e\\udd17", "\u2028".encode(), "\ufeff".encode(),
        "\u202e".encode(), "\U0010ffff".encode(), b"\x7f", b"%s%n{}", b"A" * 64, b"x" * 300,
    )
)  # fmt: skip
"""Names of tensors and keys of metadata, as valid JSON."""

TEXTS: tuple[bytes, ...] = (
    b'""', b'"pt"', b'"np"', b'"1"', b'"{}"', b'"{\\"a\\":[1]}"', b'"\\u0000"', '"ü"'.encode(),
    '"\U0001f600"'.encode(), b'"\\ud83d\\ude00"', b'"' + b"v" * 200 + b'"',
)  # fmt: skip
"""Values of metadata, as written."""

LITERALS = (
    b"null", b"true", b"false", b"0", b"1", b"-1", b"1.5", b"1e3", b'""', b'"F32"', b"[]", b"{}", b"[0]", b"[0,0]",
    b"[null]", b"[[]]", b"[{}]", b'{"":0}', b'["F32",[1],[0,4]]', b'{"dtype":"F32","shape":[],"data_offsets":[0,4]}',
    b"NaN", b"Infinity", b"-Infinity", b"undefined", b"nul", b"True", b"'a'", b"",
)  # fmt: skip
"""Values of every JSON type, then from ``VALID`` on some of none."""
VALID = 20

_DEPTHS = (1, 2, 3, 16, 60, 63, 64, 120, 123, 124, 125, 126, 127, 128, 129, 130, 200, 500, 1000)
NESTED: tuple[bytes, ...] = tuple(
    nested for depth in _DEPTHS for nested in (b"[" * depth + b"]" * depth, b'{"":' * depth + b"0" + b"}" * depth)
)
"""Arrays and objects in each other, around the depths (64, 128) at which readers give up."""
