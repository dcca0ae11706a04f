"""The file in which a build of the range counts how often each bug was reached and triggered."""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from harness.bench.range.bugs import COUNTS, SWITCH

_NUMBERS = 64
_SIZE = _NUMBERS * 2 * 8


class Counts:
    """The counts in the file ``path``, which is made here. Processes of the build add to them while they run."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(_SIZE))
        self.path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SIZE)

    def reset(self) -> None:
        """All counts are zero again."""
        self._memory[:] = bytes(_SIZE)

    def read(self) -> dict[int, tuple[int, int]]:
        """How often each bug was reached and triggered, by number."""
        values = struct.unpack(f"{_NUMBERS * 2}Q", self._memory[:])
        return {number: (values[2 * number], values[2 * number + 1]) for number in range(_NUMBERS)}

    def triggered(self) -> frozenset[int]:
        """The numbers of the bugs that were triggered."""
        return frozenset(number for number, (_, times) in self.read().items() if times)


def environment(switch: str, counts: Counts | None) -> dict[str, str]:
    """The variables of a process with these bugs on: "all", numbers with commas, or none."""
    return {SWITCH: switch, COUNTS: str(counts.path.resolve()) if counts is not None else ""}


@contextlib.contextmanager
def switched(switch: str, counts: Counts | None) -> Iterator[None]:
    """Processes that start meanwhile have these bugs on."""
    names = environment(switch, counts)
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
