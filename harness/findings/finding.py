"""What an oracle says of one run, in words that are the same for the same defect.

Oracles make findings, and so do targets that bring an oracle of their own; triage names and keeps them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

#: The closed set of kinds that the JSON of ``harness findings`` may carry.
KINDS = ("panic", "contract", "differential", "roundtrip", "memory", "time", "crash", "hang")


@dataclass(frozen=True, slots=True)
class Finding:
    """One judged defect in one run.

    ``oracle`` names who found it, ``kind`` is one of :data:`KINDS`. ``rule`` and ``aspect`` say what is wrong in words
    that are the same for the same defect (no numbers, names or positions of the input): together with target and
    kind they make the signature. ``summary`` is one sentence for people, with the values of this input.
    """

    oracle: str
    kind: str
    rule: str
    aspect: str
    summary: str


# Backquotes around words of the parser's, of its JSON reader's or of Rust's own. All others are around names of the
# input, which are printed as they are and may hold anything, backquotes too.
_OWN = re.compile(
    r"(?:missing|duplicate) field `(?:dtype|shape|data_offsets|__metadata__)`"
    r"|expected `[:,\]}]`(?: or `[:,\]}]`)?"
    r"|called `(?:Option|Result)::\w+\(\)` on an? `(?:None|Err|Ok)` value"
)
_BACKQUOTED = re.compile(r"`.*`", re.DOTALL)
# These messages print a name without any quotes: up to the end, or up to the cause after the last colon.
_BARE = re.compile(r"(contain tensor|tensor info for) .*|((?:read|failed for) tensor) .*(?= from file: |: )", re.DOTALL)
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|(?<!\w)'(?:[^'\\]|\\.)*'", re.DOTALL)
# Words of frameworks for a tensor's dtype: which one it is comes from the file.
_DTYPE = re.compile(r"\b(?:u?int|b?float|complex)(?:8|16|32|64|128)(?:_e\dm\d\w*)?\b")
_NUMBER = re.compile(r"(?<!\w)0x[0-9a-fA-F]+|(?<!\w)(?<![A-Za-z]-)-?\d[\d_.]*(?:[eE][+-]?\d+)?(?!\w)")
_LIST = re.compile(r"\[[^\[\]]*\]|(?<![\w:])\([N, ]*\)")
_LONG_WORD = re.compile(r"\S{60,}")
_ENUMERATION = re.compile(r"\b_(?:, _)+")
_SPACE = re.compile(r"\s+")
_LONGEST = 1 << 16


@lru_cache(256)
def normalise(message: str) -> str:
    """An error message with what comes from the input taken out: quoted text, names, numbers, lists, words for dtypes.

    Two inputs that trip over the same defect give the same string, however their names and sizes differ.
    """
    text = message[:_LONGEST]
    text = _OWN.sub(lambda match: match.group().replace("`", "\ue000"), text)
    text = _BACKQUOTED.sub("_", text)
    text = _BARE.sub(lambda match: f"{match[1] or match[2]} _", text)
    text = _QUOTED.sub("_", text)
    text = _NUMBER.sub("N", _DTYPE.sub("DTYPE", text))
    for _ in range(3):  # nested lists, inside out
        text = _LIST.sub("_", text)
    text = _LONG_WORD.sub("_", text)
    text = _ENUMERATION.sub("_", text).replace("\ue000", "`")
    return _SPACE.sub(" ", text).strip()[:160]
