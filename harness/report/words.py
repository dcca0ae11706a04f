"""Numbers and untrusted text in readable form."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from harness.report.text import plain

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def shown(text: str) -> str:
    """:func:`harness.report.text.plain` of any length: printable, nothing that turns the line around; no markup is escaped."""
    return plain(text, sys.maxsize)


def cut(text: str, most: int) -> str:
    """``text``, or its beginning with three dots where it is longer than ``most`` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def number(value: object) -> float:
    """``value`` if it is a finite number, else 0: a ledger may be of another version, or edited."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    # A larger whole number does not fit a float.
    return float(value) if abs(value) < 1e300 else 0.0


def table(value: object) -> Mapping[str, Any]:
    """``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def count(value: float) -> str:
    """A count with its thousands apart."""
    return f"{value:,.0f}"


def short(value: float) -> str:
    """A count in few characters, for the axis of a figure: ``950``, ``1.2k``, ``35M``."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def percent(part: float, whole: float) -> str:
    """``part`` of ``whole``; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds else "0 s"
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds / MINUTE:.3g} min"
    return f"{seconds / HOUR:,.3g} h" if seconds < 4 * DAY else f"{seconds / DAY:,.3g} days"


def size(octets: float) -> str:
    """A size in bytes."""
    for limit, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**13, "KiB")):
        if octets >= limit:
            return f"{octets / (1024 if unit == 'KiB' else limit):.3g} {unit}"
    return f"{octets:.0f} B"
