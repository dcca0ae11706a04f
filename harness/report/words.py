"""Numbers and foreign text as a person reads them on a page."""

from __future__ import annotations

import sys

from harness.report.text import plain

HOUR = 3600.0


def shown(text: str) -> str:
    """:func:`harness.report.text.plain` of any length: printable, nothing that turns the line around; no markup is escaped."""
    return plain(text, sys.maxsize)


def cut(text: str, most: int) -> str:
    """``text``, or its beginning with three dots where it is longer than ``most`` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def size(octets: float) -> str:
    """A size in bytes."""
    for limit, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**13, "KiB")):
        if octets >= limit:
            return f"{octets / (1024 if unit == 'KiB' else limit):.3g} {unit}"
    return f"{octets:.0f} B"
