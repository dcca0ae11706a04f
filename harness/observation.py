"""The observation of one run of the parser: how it ended, and what it read. Targets make it, oracles judge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# The outcomes a run inside one process can have. A child that dies, hangs or runs out of memory is seen by its
# parent (harness.replay.replay), which adds "crash", "hang" and "memory".
ACCEPT = "accept"
REJECT = "reject"
RAISE = "raise"
PANIC = "panic"


@dataclass(slots=True)
class Reading:
    """The content of a file as the parser reads it, in one form for every target.

    ``tensors`` pairs each name with ``{"dtype": str, "shape": list[int], "data": bytes-like}``, the form
    ``safetensors.deserialize`` itself returns. ``metadata`` is ``NOT_READ`` where the entry point does not give it.
    ``offset_keys`` are the names by offset, or ``None`` where the entry point has no such call.
    ``partial`` names tensors that the entry point refused on its own (an unsupported dtype), with the reason.
    """

    tensors: list[tuple[str, dict[str, Any]]]
    metadata: dict[str, str] | object | None
    offset_keys: list[str] | None = None
    partial: dict[str, str] | None = None


NOT_READ = object()

#: ``(outcome, error, value)``. The error is "" when accepted, the message alone for a documented refusal, otherwise
#: "Type: message". The value is what was read (a Reading, or a target's own form of it), or the exception.
Observation = tuple[str, str, Any]
Run = Callable[[bytes], Observation]


def describe(error: BaseException) -> str:
    """``Type: message`` of an exception, as observations carry it."""
    return f"{type(error).__name__}: {error}"


def classify(error: BaseException, documented: tuple[type[BaseException], ...]) -> Observation:
    """The observation of a run that ended in ``error``.

    A Rust panic reaches Python as ``pyo3_runtime.PanicException``, a BaseException; interrupts are let through.
    """
    if isinstance(error, documented):
        return REJECT, describe(error), error
    if type(error).__name__ == "PanicException":
        return PANIC, describe(error), error
    if not isinstance(error, Exception):
        raise error
    return RAISE, describe(error), error


@dataclass(slots=True)
class Event:
    """One call of a program: ``call`` names the kind of call, from a closed set of the target's.

    ``outcome`` and ``error`` are as in an observation. ``value`` is the value that the call returned, or the exception.
    ``about`` is the target's knowledge of the call: its arguments, and the value that it should have given.
    """

    call: str
    outcome: str
    error: str
    value: Any
    about: Any = None


@dataclass(slots=True)
class Trace:
    """The events of the calls of one program, in order; ``program`` is the program as its target reads it."""

    program: Any
    events: list[Event]


@dataclass(slots=True)
class Readings(Reading):
    """The reading of one entry point, with what the others gave of the same file.

    ``events`` has one event per entry point, in the order in which they were asked. The event's ``value`` is a Reading, a
    :class:`Written` or the exception; its ``about`` has the dtypes that the framework can hold.
    """

    events: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class Written:
    """The file that a saver made of the tensors of a loader.

    ``read`` has the tensors that the saver got, ``data`` is the file that it made. ``again`` is the loader's reading of that
    file (a Reading, or how it failed). ``kept`` is False where the saver changed the dictionary that it was given.
    """

    read: Reading
    data: bytes
    again: Reading | str
    kept: bool


_WORST = (PANIC, RAISE, REJECT)


def observe(trace: Trace) -> Observation:
    """The observation of a program: the worst outcome of its calls, and the error of the first that had it."""
    failed = [event for event in trace.events if event.outcome is not ACCEPT]
    if failed:
        for outcome in _WORST:
            for event in failed:
                if event.outcome == outcome:
                    return outcome, event.error, trace
    return ACCEPT, "", trace


def attempt(
    call: str, function: Callable[[], Any], documented: tuple[type[BaseException], ...], about: Any = None
) -> Event:
    """The event of one call."""
    try:
        return Event(call, ACCEPT, "", function(), about)
    except BaseException as error:
        return failure(call, error, documented, about)


def failure(call: str, error: BaseException, documented: tuple[type[BaseException], ...], about: Any = None) -> Event:
    """The event of a call that ended in ``error``; see :func:`classify`."""
    return Event(call, *classify(error, documented), about)
