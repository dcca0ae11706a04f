"""Files that writers made, as the oracles of all writers judge them."""

from __future__ import annotations

from functools import lru_cache

from harness.findings.rule import Case
from harness.format.judge import Judgement, judge
from harness.format.rules import RULES

_KNOWN = 1 << 13

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
