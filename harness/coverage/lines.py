"""Source lines for the page, cut into pieces that ran, that did not run, and that hold no code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.coverage.counts import PythonFile, RustFile, Segment

# Status of a piece or line: it ran, no input reached it, no call leads here, no code; partial for a line alone.
HIT, MISS, EXCLUDED, PLAIN, PARTIAL = "hit", "miss", "excluded", "plain", "partial"

# Longer runs of lines without code are folded, except for some lines of context.
_FOLD_FROM = 12
_CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line of source. ``count`` is None without code; ``pieces`` are (text, class); ``note`` is shown at the right."""

    number: int
    count: int | None
    status: str
    pieces: list[tuple[str, str]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fold:
    """Lines ``first`` to ``last`` without code, left out."""

    first: int
    last: int


def rust_lines(file: RustFile) -> list[Line]:
    """All lines of a Rust file, cut at the borders of its regions."""
    changes: dict[int, list[tuple[int, str]]] = {}
    for segment in file.segments:
        changes.setdefault(segment.line, []).append((segment.column, _class(file, segment)))
    state = PLAIN
    found = []
    notes = {start[0]: f"excluded: {reason}" for start, reason in file.excluded.items()}
    for number, raw in enumerate(file.source.lines, start=1):
        pieces: list[tuple[str, str]] = []
        at = 0
        for column, following in [*changes.get(number, []), (len(raw) + 1, "")]:
            if column - 1 > at:
                pieces += _spaced(raw[at : column - 1].decode(errors="replace"), state)
                at = column - 1
            state = following or state
        found.append(
            Line(number, file.lines.get(number), _status(pieces, number in file.lines), pieces, notes.get(number, ""))
        )
    return found


def _class(file: RustFile, segment: Segment) -> str:
    if not segment.counted:
        return PLAIN
    if segment.runs:
        return HIT
    return EXCLUDED if file.reason((segment.line, segment.column)) else MISS


def _spaced(text: str, state: str) -> list[tuple[str, str]]:
    """Split indentation and trailing space off a piece: they are not marked."""
    bare = text.strip()
    if not bare or state in (PLAIN, HIT):
        return [(text, PLAIN if not bare else state)]
    first = text.index(bare)
    pieces = [(text[:first], PLAIN), (bare, state), (text[first + len(bare) :], PLAIN)]
    return [(part, kind) for part, kind in pieces if part]


def _status(pieces: list[tuple[str, str]], code: bool) -> str:
    if not code:
        return PLAIN
    kinds = {kind for text, kind in pieces if kind != PLAIN and any(c.isalnum() or c in "?|_" for c in text)}
    kinds = kinds or {kind for _, kind in pieces if kind != PLAIN}
    if len(kinds) > 1:
        return PARTIAL if MISS in kinds else HIT
    return kinds.pop() if kinds else PLAIN


def python_lines(file: PythonFile) -> list[Line]:
    """All lines of a Python file, with the branches that no input took."""
    untaken: dict[int, list[int]] = {}
    for (source, target), taken in file.branches.items():
        if not taken:
            untaken.setdefault(source, []).append(target)
    found = []
    for number, text in enumerate(file.source, start=1):
        count = file.lines.get(number)
        missed = untaken.get(number, []) if count else []
        status = PLAIN if count is None else MISS if not count else PARTIAL if missed else HIT
        pieces = _spaced(text, {PARTIAL: HIT}.get(status, status)) if text else []
        ways = ", ".join(f"to line {t}" if t > 0 else "out of the function" for t in sorted(missed))
        found.append(Line(number, count, status, pieces, f"never goes {ways}" if ways else ""))
    return found


def folded(lines: list[Line]) -> Iterator[Line | Fold]:
    """The lines, with long runs that hold no code folded."""
    run: list[Line] = []
    ends: list[Line | None] = [*lines, None]
    for line in ends:
        if line is not None and line.status == PLAIN and line.count is None:
            run.append(line)
            continue
        if len(run) >= _FOLD_FROM:
            head = _CONTEXT if run[0].number > 1 else 0
            tail = _CONTEXT if line is not None else 0
            yield from run[:head]
            yield Fold(run[head].number, run[len(run) - tail - 1].number)
            yield from run[len(run) - tail :]
        else:
            yield from run
        run = []
        if line is not None:
            yield line
