"""What an oracle says of one run, in words that are the same for the same defect.

Oracles make findings, and so do targets that bring an oracle of their own; triage names and keeps them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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


_QUOTED = re.compile(r"`[^`]*`|\"(?:[^\"\\]|\\.)*\"|'[^']*'")
_LONG_WORD = re.compile(r"\S{60,}")
_NUMBER = re.compile(r"(?:0x[0-9a-fA-F]+|(?<![A-Za-z_])\d[\d_.]*)")
_LIST = re.compile(r"\[[^\[\]]*\]|\([N, ]*\)")
_SPACE = re.compile(r"\s+")

# Words between backquotes that are part of the parser's own vocabulary, not of the input.
_VOCABULARY = frozenset(
    f"`{word}`" for word in ("dtype", "shape", "data_offsets", "__metadata__", "null", ":", ",", "}", "]", "'")
)


def normalise(message: str) -> str:
    """An error message with what comes from the input taken out: quoted text, numbers, lists.

    Two inputs that trip over the same defect give the same string, however their names and sizes differ.
    """
    text = message[:2000]
    text = _QUOTED.sub(lambda m: m.group() if m.group() in _VOCABULARY else "_", text)
    text = _NUMBER.sub("N", text)
    for _ in range(3):  # nested lists, inside out
        text = _LIST.sub("[]", text)
    text = _LONG_WORD.sub("_", text)
    return _SPACE.sub(" ", text).strip()[:160]
