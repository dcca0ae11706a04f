"""What of an input it takes to kill: the words of a file, or the steps of a program, without which it no longer does."""

from __future__ import annotations

import re
from collections.abc import Callable

DEADLY = frozenset({"crash", "hang", "memory"})
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
# Format words stand in every file: they would make no guard narrower.
_COMMON = frozenset({b"dtype", b"shape", b"data_offsets"})
#: Each candidate costs a run, and perhaps a process.
MOST = 16


def needles(data: bytes, unit: int, dies: Callable[[bytes], bool]) -> list[bytes]:
    """The pieces of ``data``, at most :data:`MOST` tried, without which ``dies`` says no.

    Of a program (``unit`` bytes a step) they are steps, of a file words. Where any piece can go there is none: nothing tells the
    input from others.
    """
    if unit:
        steps = [data[at : at + unit] for at in range(0, len(data), unit)]
        tried = list(dict.fromkeys(steps))[:MOST]
        return [step for step in tried if not dies(b"".join(other for other in steps if other != step))]
    words = [word for word in dict.fromkeys(_WORD.findall(data)) if word not in _COMMON][:MOST]
    return [word for word in words if not dies(data.replace(word, b"x" * len(word)))]
