"""The parts of a deadly input without which it no longer kills."""

from __future__ import annotations

import re
from collections.abc import Callable

DEADLY = frozenset({"crash", "hang", "memory"})
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
# These words stand in every file and would make no guard narrower.
_COMMON = frozenset({b"dtype", b"shape", b"data_offsets"})
#: Most candidates that are tried. Each one costs a run, and perhaps a process.
MOST = 16


def essential_tokens(data: bytes, unit: int, dies: Callable[[bytes], bool]) -> list[bytes]:
    """The tokens of ``data`` whose removal makes ``dies`` answer no; at most :data:`MOST` are tried.

    Tokens of a program (``unit`` bytes a step) are its steps; tokens of a file are words. The list is empty where each token alone
    can go: then nothing tells the input from others.
    """
    if unit:
        steps = [data[at : at + unit] for at in range(0, len(data), unit)]
        tried = list(dict.fromkeys(steps))[:MOST]
        return [step for step in tried if not dies(b"".join(other for other in steps if other != step))]
    words = [word for word in dict.fromkeys(_WORD.findall(data)) if word not in _COMMON][:MOST]
    return [word for word in words if not dies(data.replace(word, b"x" * len(word)))]
