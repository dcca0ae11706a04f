"""libFuzzer's own figures, read from the log that it writes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_NAMES = (b"cov:", b"ft:", b"corp:")
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
                # The line about the seeds may be far back, if nobody has read for long.
                start = self._read if self.seeded is None else max(self._read, self._path.stat().st_size - _TAIL)
                log.seek(start)
                text = log.read()
        except OSError:
            return self.figures
        # libFuzzer writes a line in several pieces.
        whole = text[: text.rfind(b"\n") + 1]
        self._read = start + len(whole)
        lines = whole.split(b"\n")
        if self.seeded is None and (line := next((line for line in lines if b"\tINITED" in line), None)) is not None:
            # Where no seed gained an edge, the line holds no figures.
            self.seeded = _figures(line) or Figures()
        self.figures = next(filter(None, map(_figures, reversed(lines))), self.figures)
        return self.figures


def _figures(line: bytes) -> Figures | None:
    """The figures in a line that has all three."""
    words = line.split()
    if not all(name in words[:-1] for name in _NAMES):
        return None
    values = [words[words.index(name) + 1].split(b"/")[0] for name in _NAMES]
    return Figures(*map(int, values)) if all(value.isdigit() for value in values) else None
