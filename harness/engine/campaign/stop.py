"""Requests to end a campaign."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

from harness.processes import leave_terminal

# Two SIGTERM within so many seconds are one request.
_AGAIN_S = 0.5

#: Ctrl-C, a request to end, and a terminal that was closed.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether a signal asked for the end. One of :data:`ENDING` ends the campaign cleanly, a second one at once."""

    def __init__(self) -> None:
        self.asked = False
        self._at = 0.0

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Handle the signals. A closed terminal stays ignored under nohup."""

        def interrupt(number: int, frame: object) -> None:
            if number == signal.SIGHUP:
                leave_terminal()
            # The kernel sends one for each thread of a parent that was killed.
            again, self._at = time.monotonic() - self._at > _AGAIN_S, time.monotonic()
            if self.asked and (again or number != signal.SIGTERM):
                raise KeyboardInterrupt
            self.asked = True

        nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        handled = [number for number in ENDING if not (nohup and number == signal.SIGHUP)]
        previous = {number: signal.signal(number, interrupt) for number in handled}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
