"""Calls whose course chance decides: threads that race, runs that the clock asks for.

Such a call leaves no trace in later ones, so that a run of N executions repeats. Edges that it reaches do not count. It runs in
a thread of its own, because Rust numbers the keys of its hash maps by thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_counters = memoryview(bytearray())


def use(counters: memoryview) -> None:
    """Let ``counters`` be those of the parser's edges in this process, readable and writable."""
    global _counters
    _counters = counters


def apart(call: Callable[[], T]) -> T:
    """The value of ``call``, after which the counters of edges are what they were before. Its errors pass through."""
    before = bytes(_counters)
    values: list[T] = []
    errors: list[BaseException] = []

    def go() -> None:
        try:
            values.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join()
    _counters[:] = before
    if errors:
        raise errors[0]
    return values[0]
