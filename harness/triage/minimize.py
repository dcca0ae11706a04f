"""The smallest input that still shows a finding: first on the tree of the header, then on bytes.

``keep`` decides: the replay of a candidate must show the same signature. The search ends when no single removal is
kept: of a structural element (with the layout repaired and without), or of a byte (with the length prefix repaired and
without). A second run therefore changes nothing.
"""

from __future__ import annotations

import re
import struct

from harness.errors import HarnessError
from harness.triage import structure
from harness.triage.jsontree import parse
from harness.triage.search import LENGTH, Keep, Progress, Search, below, remove_most

__all__ = ["Keep", "Progress", "minimize"]

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]]', re.DOTALL)


def minimize(data: bytes, keep: Keep, *, unit: int = 0, progress: Progress | None = None) -> bytes:
    """The smallest input found for which ``keep`` holds.

    With ``unit``, the input is a program in steps of ``unit`` bytes: steps go first, then bytes become smaller.
    ``progress`` gets the size of the best input and the number of runs. Raises HarnessError when ``keep`` refuses ``data``.
    """
    if not keep(data):
        raise HarnessError("the input does not show the finding", hint="run it again: harness repro")
    search = Search(data, keep, progress)
    before = None
    while before != search.best:
        before = search.best
        if unit:
            _program(search, unit)
        else:
            _pairs(search)
            structure.shrink(search)
            _bytes(search)
            _prefix(search)
    return search.best


def _program(search: Search, unit: int) -> None:
    steps = [search.best[at : at + unit] for at in range(0, len(search.best), unit)]
    remove_most(steps, lambda rest: search.offer(b"".join(rest)))
    remove_most(list(search.best), lambda rest: search.offer(bytes(rest)))
    for at in range(len(search.best)):
        for smaller in below(search.best[at]):
            if search.offer(search.best[:at] + bytes((smaller,)) + search.best[at + 1 :]):
                break


def _framed(data: bytes, start: int, stop: int) -> bytes | None:
    """``data`` without the bytes from ``start`` to ``stop``, with the length prefix lowered by the loss of the header.

    None where the header loses nothing, or where the prefix itself would lose bytes.
    """
    if start < LENGTH:
        return None
    size = struct.unpack_from("<Q", data)[0]
    lost = min(stop, LENGTH + size, len(data)) - start
    return struct.pack("<Q", size - lost) + data[LENGTH:start] + data[stop:] if lost > 0 else None


def _bytes(search: Search) -> None:
    """Remove bytes, in chunks and then one by one, with the length prefix repaired and without."""
    before = None
    while before != search.best:
        before = search.best
        chunk = len(before)
        while chunk:
            start = len(search.best) - chunk
            while start > -chunk:
                data = search.best
                first, stop = max(start, 0), start + chunk
                repaired = _framed(data, first, stop)
                if repaired is None or not search.offer(repaired):
                    search.offer(data[:first] + data[stop:])
                start = min(start, len(search.best)) - chunk
            chunk = min(chunk, len(search.best)) // 2


def _prefix(search: Search) -> None:
    """Make a wrong length prefix small."""
    data = search.best
    if len(data) >= LENGTH:
        for smaller in below(struct.unpack_from("<Q", data)[0]):
            if search.offer(struct.pack("<Q", smaller) + data[LENGTH:]):
                break


def _pairs(search: Search) -> None:
    """Remove brackets in pairs: text beyond MAX_DEPTH has no tree."""
    data = search.best
    if len(data) < LENGTH or parse(data[LENGTH:]) is not None:
        return
    size = struct.unpack_from("<Q", data)[0]
    open_at: list[int] = []
    pairs: list[tuple[int, int]] = []
    for match in _BRACKETS.finditer(data, LENGTH):
        if match.group() in (b"{", b"["):
            open_at.append(match.start())
        elif match.group() in (b"}", b"]") and open_at:
            pairs.append((open_at.pop(), match.start()))

    def offer(rest: list[tuple[int, int]]) -> bool:
        kept = bytearray(data)
        gone = sorted({at for pair in set(pairs) - set(rest) for at in pair}, reverse=True)
        for at in gone:
            del kept[at]
        end = min(LENGTH + size, len(data))
        kept[:LENGTH] = struct.pack("<Q", max(size - sum(at < end for at in gone), 0))
        return search.offer(bytes(kept))

    remove_most(pairs, offer)
