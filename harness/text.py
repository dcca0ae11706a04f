"""Numbers, shares and times in few characters, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(value: float) -> str:
    """A whole number with its thousands apart: ``12,345``."""
    return f"{value:,.0f}"


def short(value: float) -> str:
    """A number of three digits at most, with a unit: ``950``, ``1.2k``, ``35M``."""
    for limit, unit in _UNITS:
        # From 999.5k on, three digits round to the next unit.
        if value >= 0.9995 * limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def percent(part: float, whole: float, digits: int = 0) -> str:
    """The share of ``part`` in ``whole``: ``45 %``; "-" where ``whole`` is 0."""
    return f"{100 * part / whole:.{digits}f} %" if whole else "-"


def duration(seconds: float) -> str:
    """A time in its two largest units: ``0.28 s``, ``48 s``, ``12 min 5 s``, ``7 h 40 min``, ``3 days``."""
    if 0 < seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        large, small = f"{whole // 60} min", f"{whole % 60} s"
    elif whole < 2 * 86_400:
        large, small = f"{whole // 3600} h", f"{whole % 3600 // 60} min"
    else:
        large, small = f"{whole // 86_400} days", f"{whole % 86_400 // 3600} h"
    return large if small.startswith("0 ") else f"{large} {small}"


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table: each cell as wide as the widest of its column, two spaces between."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
