"""Files that writers made, as the oracles of all writers judge them."""

from __future__ import annotations

from functools import lru_cache

from harness.findings.rule import Case
from harness.format.judge import Judgement, judge
from harness.format.rules import RULES

_KNOWN = 1 << 13
# The bits of a mode that concern users beside the owner.
_OTHERS = 0o077

#: The text that says what is wrong with a file, by aspects of the form "CALL: WHAT".
TEXTS = (
    Case("*: bytes/*", sentence="Tensors need to be contiguous and dense."),
    Case(
        "*: *__metadata__*",
        sentence="A special key __metadata__ is allowed to contain free form string-to-string map.",
    ),
    *(
        Case(pattern, sentence=sentence)
        for name, sentence in RULES.items()
        for pattern in (f"*: {name}", f"*: {name}/*")
    ),
)


#: A mode that opens a written file to more users; its aspects end so (:func:`mode_aspect`).
WIDER = Case("*/wider", why="Users whom the umask or the mode of the old file keeps out may read or write the file.")


def mode_aspect(place: str, found: int, right: int) -> str:
    """The aspect of a file whose mode is ``found`` and not ``right``; ``place`` says whether it is new."""
    return f"{place}/wider" if found & ~right & _OTHERS else place


@lru_cache(_KNOWN)
def judged(raw: bytes) -> Judgement:
    """The judgement of a file, kept: programs write the same files again and again."""
    return judge(raw)


def only_metadata_order_differs(one: bytes, other: bytes) -> bool:
    """Whether two files differ in the order of their metadata, and in nothing else."""
    first, second = judged(one).header, judged(other).header
    if first is None or second is None or len(one) != len(other):
        return False
    same = (first.size, first.tensors, first.metadata) == (second.size, second.tensors, second.metadata)
    return same and one[8 + first.size :] == other[8 + second.size :]
