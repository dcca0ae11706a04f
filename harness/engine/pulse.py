"""libFuzzer's own figures, read from the log it writes: covered edges, features, members of the corpus."""

from __future__ import annotations

from pathlib import Path

_NAMES = ("cov", "ft", "corp")
_TAIL = 65_536


class Pulse:
    """Follows one log; ``figures`` is what its last complete line said (``cov``, ``ft``, ``corp``; zeros before the first)."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self.figures: dict[str, int] = dict.fromkeys(_NAMES, 0)

    def read(self) -> dict[str, int]:
        """Read what is new, of much of it the end, and give the figures."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(self._read, self._log.stat().st_size - _TAIL))
                text = log.read()
                self._read = log.tell()
        except OSError:
            return self.figures
        for line in reversed(text.split(b"\n")):
            words = line.split()
            if all(name.encode() + b":" in words for name in _NAMES):
                for name in _NAMES:
                    value = words[words.index(name.encode() + b":") + 1].split(b"/")[0]
                    self.figures[name] = int(value) if value.isdigit() else self.figures[name]
                break
        return self.figures
