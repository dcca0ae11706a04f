"""Text for narrow places: numbers and times in few characters, rows that are never cut within a word, a curve in dots."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

# Dots of a braille cell from the bottom up, left and right column (Unicode 6.0, block U+2800).
_LEFT = (0x40, 0x04, 0x02, 0x01)
_RIGHT = (0x80, 0x20, 0x10, 0x08)
_PLAIN = " .:-=+*#"


def count(value: float) -> str:
    """A number in at most six characters: 9999, 12.3k, 4.5M, 6.7G."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit * (10 if unit == "k" else 1):
            return f"{value / limit:.1f}{unit}"
    return f"{value:.0f}"


def percent(part: float, whole: float) -> str:
    """``part`` of ``whole`` in percent, "-" of nothing."""
    return f"{100 * part / whole:.0f} %" if whole else "-"


def duration(seconds: float) -> str:
    """48 s, 12 min 5 s, 7 h 40 min."""
    whole = round(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min" if whole % 3600 >= 60 else f"{whole // 3600} h"


Piece = str | tuple[str, str]


def row(pieces: Sequence[Piece], width: int, gap: str = "  ") -> Text:
    """``pieces`` (texts, or texts with a style) side by side, as many as fit whole; an empty one is passed over."""
    found = Text(no_wrap=True, end="")
    for piece in pieces:
        text, style = (piece, "") if isinstance(piece, str) else piece
        room = width - len(found) - (len(gap) if len(found) else 0)
        if not text or len(text) > room:
            continue
        if len(found):
            found.append(gap)
        found.append(text, style)
    return found


def rows(pieces: Sequence[Piece], width: int, lines: int) -> list[Text]:
    """``pieces`` in order over so many lines, each filled before the next; what does not fit is left out."""
    found = []
    left = list(pieces)
    for _ in range(lines):
        size = next((n for n in range(len(left), 0, -1) if _length(left[:n]) <= width), 0)
        found.append(row(left[:size], width))
        left = left[size:]
    return found


def _length(pieces: Sequence[Piece]) -> int:
    texts = [piece if isinstance(piece, str) else piece[0] for piece in pieces]
    return len("  ".join(texts))


def bar(share: float, width: int, *, ascii_only: bool = False) -> Text:
    """``share`` (0 to 1) of ``width`` cells filled."""
    filled = round(width * min(max(share, 0), 1))
    full, empty = ("#", "-") if ascii_only else ("━", "─")
    return Text.assemble((full * filled, "green"), (empty * (width - filled), "dim"))


def curve(points: Sequence[tuple[float, float]], width: int, height: int, *, ascii_only: bool = False) -> list[str]:
    """The area below ``points`` (x rising), from the lowest value on, as ``height`` lines of ``width`` characters."""
    if not points:
        return [" " * width] * height
    columns, steps = (width, len(_PLAIN) - 1) if ascii_only else (2 * width, 4)
    low, high = points[0][1], max(value for _, value in points)
    begin, end = points[0][0], points[-1][0]
    levels = []
    at = 0
    for column in range(columns):
        x = begin + (end - begin) * column / max(columns - 1, 1)
        while at + 1 < len(points) and points[at + 1][0] <= x:
            at += 1
        share = (points[at][1] - low) / (high - low) if high > low else 0.0
        # Something is drawn where nothing was gained yet, so that the line is seen to begin.
        levels.append(max(1, round(share * steps * height)))
    lines = []
    for line in reversed(range(height)):
        filled = [min(max(level - steps * line, 0), steps) for level in levels]
        if ascii_only:
            lines.append("".join(_PLAIN[level] for level in filled))
        else:
            cells = zip(filled[::2], filled[1::2], strict=True)
            lines.append("".join(chr(0x2800 + sum(_LEFT[:left]) + sum(_RIGHT[:right])) for left, right in cells))
    return lines
