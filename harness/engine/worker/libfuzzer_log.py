"""libFuzzer's own figures, read from the log it writes: covered edges, features, members of the corpus; and how they went."""

from __future__ import annotations

from collections import deque
from pathlib import Path

_NAMES = ("cov", "ft", "corp")
_TAIL = 65_536

# At two statuses a second half a minute, should the supervisor be kept from looking for so long.
_KEPT = 64


class Pulse:
    """Follows one log; ``figures`` is what its last complete line said (``cov``, ``ft``, ``corp``; zeros before the first).

    ``seeded`` is the same once the seeds had run; empty before.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self.figures: dict[str, int] = dict.fromkeys(_NAMES, 0)
        self.seeded: dict[str, int] = {}

    def read(self) -> dict[str, int]:
        """Read what is new, of much of it the end, and give the figures."""
        try:
            with self._log.open("rb") as log:
                # The line that says so when the seeds had run may be far back, if the supervisor was kept from looking.
                start = max(self._read, self._log.stat().st_size - _TAIL) if self.seeded else self._read
                log.seek(start)
                text = log.read()
        except OSError:
            return self.figures
        # A line is written in several goes.
        whole = text[: text.rfind(b"\n") + 1]
        self._read = start + len(whole)
        lines = whole.split(b"\n")
        if not self.seeded:
            # Where nothing ran that gained an edge, it holds no figures.
            self.seeded |= next(
                (dict.fromkeys(_NAMES, 0) | _figures(line) for line in lines if b"\tINITED" in line), {}
            )
        if found := next(filter(None, map(_figures, reversed(lines))), {}):
            self.figures |= found
        return self.figures


def _figures(line: bytes) -> dict[str, int]:
    """What a line says of all three; nothing where it does not."""
    if not all(name.encode() + b":" in line for name in _NAMES):
        return {}
    words = line.split()
    found = {name: words[words.index(name.encode() + b":") + 1].split(b"/")[0] for name in _NAMES}
    return {name: int(value) for name, value in found.items() if value.isdigit()}


#: Where a moment has the parser's edges.
EDGES = 3


class Moments:
    """The last moments of a worker: the clock, CPU-seconds, then what :data:`harness.engine.campaign.discovery.FIELDS` names."""

    def __init__(self) -> None:
        self._moments: deque[list[float]] = deque(maxlen=_KEPT)

    def add(
        self, clock: float, cpu_seconds: float, executions: int, engine: dict[str, int], semantic: int, found: int
    ) -> None:
        """Now. libFuzzer's edges hold our semantic features too."""
        edges = engine["cov"] - semantic
        self._moments.append(
            [round(clock, 2), cpu_seconds, executions, edges, engine["ft"], semantic, engine["corp"], found]
        )

    def all(self) -> list[list[float]]:
        """All that are kept, the oldest first."""
        return list(self._moments)
