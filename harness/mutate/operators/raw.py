"""libFuzzer's own byte mutations, on the whole file and on parts of it."""

from __future__ import annotations

from harness.format.tree import Doc
from harness.mutate.registry import operator
from harness.mutate.rng import Rng

_TURNS = 4


def _damage(part: bytes, rng: Rng, room: int) -> list[bytes]:
    """Return a few damaged versions of ``part``; by hand where there is no libFuzzer."""
    native = rng.native
    if native is not None:
        return [native(part, len(part) + room) for _ in range(_TURNS)]
    outs = []
    for _ in range(_TURNS):
        at = rng.below(len(part) + 1)
        kind = rng.below(4)
        if kind == 0:
            outs.append(part[:at] + part[at + 1 :])
        elif kind == 1 or at == len(part):
            outs.append(part[:at] + bytes((rng.below(256),)) + part[at:])
        else:
            outs.append(part[:at] + bytes((part[at] ^ (1 << rng.below(8)),)) + part[at + 1 :])
    return outs


@operator("raw.file", "shallow")
def file(doc: Doc, rng: Rng) -> list[bytes]:
    """Byte mutations anywhere in the file."""
    return _damage(doc.data, rng, 64)
