"""libFuzzer's own figures, read from the log that it writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_FIGURES = re.compile(rb"cov: (\d+) ft: (\d+) corp: (\d+)")
_TAIL = 65_536


class Figures(NamedTuple):
    """Covered edges, semantic features among them, libFuzzer's features, and members of the corpus."""

    covered: int = 0
    features: int = 0
    corpus: int = 0


class LibFuzzerLog:
    """Follows one log. ``figures`` are those of its last complete line, ``seeded`` those once the seeds had run (None before)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self.figures = Figures()
        self.seeded: Figures | None = None

    def read(self) -> Figures:
        """Read the new part of the log, of a long one its end, and give the figures."""
        try:
            with self._path.open("rb") as log:
                # The line about the seeds may be far back, if the log went unread for long.
                start = self._read if self.seeded is None else max(self._read, self._path.stat().st_size - _TAIL)
                log.seek(start)
                text = log.read()
        except OSError:
            return self.figures
        # libFuzzer writes a line in several pieces.
        whole = text[: text.rfind(b"\n") + 1]
        self._read = start + len(whole)
        if self.seeded is None and (line := re.search(rb"\tINITED.*", whole)):
            # Where no seed gained an edge, the line holds no figures.
            self.seeded = _last(line[0]) or Figures()
        self.figures = _last(whole) or self.figures
        return self.figures


def _last(text: bytes) -> Figures | None:
    found = _FIGURES.findall(text)
    return Figures(*map(int, found[-1])) if found else None
