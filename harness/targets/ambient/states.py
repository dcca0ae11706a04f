"""Ambient states by number: each changes something of the process that no argument of a call names, and undoes the change.

A :class:`State` has the aspect of the process as ``kind``, its new value as ``value``, and a context manager. ``settings`` reads the
aspects, so that a call which changes one of them is seen.
"""

from __future__ import annotations

import contextlib
import gc
import io
import locale
import operator
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy

from harness.targets.ambient.optimised import optimised

#: The signal that states handle: no part of the harness and of libFuzzer uses it.
SIGNAL = signal.SIGRTMIN + 5
#: Environment variables: those that Rust's standard library, the tempfile crate, Python, torch and tools around them read.
VARIABLES = (
    "HOME", "TMPDIR", "PYTHONWARNINGS", "RUST_BACKTRACE", "RUST_LIB_BACKTRACE", "RUST_MIN_STACK", "LC_ALL", "LANG", "TZ", "PATH",
    "SAFETENSORS_FAST_GPU", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTHONIOENCODING", "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "HF_HOME",
)  # fmt: skip
_VALUES = (b"", b"/nonexistent/\xff", b"1")
_LOCALES = ("C", "POSIX", "C.UTF-8")
#: The flag of paddle under which each operation looks for infinite numbers and others that are none.
CHECK = "FLAGS_check_nan_inf"


class State(NamedTuple):
    """One ambient state.

    ``kind`` and ``value`` name it in signatures. ``enter`` gives its context manager; the module ``needs`` is imported by then.
    ``process`` states belong to the main thread and the whole process; the others may belong to a thread. ``limit`` is the
    number of frames that a call may add to the stack, 0 for no limit.
    """

    kind: str
    value: str
    enter: Callable[[], AbstractContextManager[Any]] = nullcontext
    needs: str = ""
    process: bool = False
    limit: int = 0

    @property
    def words(self) -> str:
        """Its name in signatures."""
        return f"{self.kind} {self.value}".rstrip()


def _torch() -> Any:
    return sys.modules["torch"]


def _paddle() -> Any:
    return sys.modules["paddle"]


def _call(name: str) -> Any:
    """A context manager of torch, by its name."""
    return operator.attrgetter(name)(_torch())()


@contextmanager
def _set(read: Callable[[], Any], write: Callable[[Any], Any], value: Any) -> Iterator[None]:
    """A setting with a function to read and a function to write it."""
    before = read()
    write(value)
    try:
        yield
    finally:
        write(before)


def umask() -> int:
    """The umask. Nothing reads it without writing it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _attribute(holder: Any, name: str, value: Any) -> Callable[[], AbstractContextManager[None]]:
    return lambda: _set(lambda: getattr(holder, name), lambda new: setattr(holder, name, new), value)


@contextmanager
def _variable(name: str, value: bytes | None) -> Iterator[None]:
    key = os.fsencode(name)
    before = os.environb.get(key)
    put_variable(key, value)
    try:
        yield
    finally:
        put_variable(key, before)


def put_variable(key: bytes, value: bytes | None) -> None:
    """Write a variable of the environment; None removes it."""
    if value is None:
        os.environb.pop(key, None)
    else:
        os.environb[key] = value


@contextmanager
def _warnings(action: Any) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        yield


@contextmanager
def _handler(handler: Any) -> Iterator[None]:
    before = signal.signal(SIGNAL, handler)
    try:
        yield
    finally:
        signal.signal(SIGNAL, before)


@contextmanager
def _blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {SIGNAL, signal.SIGWINCH})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _pending() -> Iterator[None]:
    """A signal that waits during the call, and is handled after it."""
    before = signal.signal(SIGNAL, lambda number, frame: None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {SIGNAL})
    signal.raise_signal(SIGNAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if SIGNAL in signal.sigpending():
            # Another state blocks it, too. Without this handler it would end the process later.
            signal.sigwait({SIGNAL})
        signal.signal(SIGNAL, before)


@contextmanager
def _device(name: str) -> Iterator[None]:
    with _torch().device(name):
        yield


@contextmanager
def _default_device(name: str) -> Iterator[None]:
    _torch().set_default_device(name)
    try:
        yield
    finally:
        _torch().set_default_device(None)


@contextmanager
def _deterministic(fill: bool, warn_only: bool) -> Iterator[None]:
    torch = _torch()
    before = torch.get_deterministic_debug_mode()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    # use_deterministic_algorithms does this too, and imports the compiler, which needs more packages.
    torch.set_deterministic_debug_mode("warn" if warn_only else "error")
    torch.utils.deterministic.fill_uninitialized_memory = fill
    try:
        yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = filled
        torch.set_deterministic_debug_mode(before)


@contextmanager
def _denormals() -> Iterator[None]:
    _torch().set_flush_denormal(True)
    try:
        yield
    finally:
        _torch().set_flush_denormal(False)


@contextmanager
def _future(name: str) -> Iterator[None]:
    future = _torch().__future__
    before = getattr(future, f"get_{name}")()
    getattr(future, f"set_{name}")(True)
    try:
        yield
    finally:
        getattr(future, f"set_{name}")(before)


def _nothing(*_: Any) -> None:
    """A handler, and a function for traces and profiles, that does nothing."""


def _trace(read: Callable[[], Any], write: Callable[[Any], Any]) -> Callable[[], AbstractContextManager[None]]:
    return lambda: _set(read, write, _nothing)


def _of_torch() -> Iterator[State]:
    def one(kind: str, value: str, enter: Callable[[], AbstractContextManager[Any]]) -> State:
        return State(kind, value, enter, needs="torch")

    yield one("default device", "meta", lambda: _device("meta"))
    yield one("default device", "cpu", lambda: _device("cpu"))
    yield one("default device", "meta", lambda: _default_device("meta"))
    for dtype in ("float64", "float16", "bfloat16"):
        yield one(
            "default dtype", dtype,
            lambda dtype=dtype: _set(_torch().get_default_dtype, _torch().set_default_dtype, getattr(_torch(), dtype)),  # type: ignore[misc]
        )  # fmt: skip
    yield one("inference_mode", "", lambda: _call("inference_mode"))
    yield one("no_grad", "", lambda: _call("no_grad"))
    yield one("enable_grad", "", lambda: _call("enable_grad"))
    for fill in (True, False):
        for warn in (False, True):
            words = f"{'filling' if fill else 'not filling'}{', warn only' if warn else ''}"
            yield one("deterministic", words, lambda fill=fill, warn=warn: _deterministic(fill, warn))  # type: ignore[misc]
    yield one("flush denormals", "", _denormals)
    yield one("autocast", "bfloat16", lambda: _torch().autocast("cpu", dtype=_torch().bfloat16))
    yield one("function mode", "", lambda: _call("overrides.BaseTorchFunctionMode"))
    yield one("swap module params", "", lambda: _future("swap_module_params_on_conversion"))
    yield one("overwrite module params", "", lambda: _future("overwrite_module_params_on_conversion"))


def _of_python() -> Iterator[State]:
    for number in (0, 0o777, 0o077):
        yield State("umask", oct(number), lambda number=number: _set(umask, os.umask, number))  # type: ignore[misc]
    for name in _LOCALES:
        read = lambda: locale.setlocale(locale.LC_ALL)  # noqa: E731
        yield State(
            "locale", name, lambda name=name, read=read: _set(read, lambda new: locale.setlocale(locale.LC_ALL, new), name)  # type: ignore[misc]
        )  # fmt: skip
    yield State("warnings", "error", lambda: _warnings("error"))
    yield State("warnings", "always", lambda: _warnings("always"))
    yield State("recursion limit", "low", limit=14)
    yield State("recursion limit", "tight", limit=40)
    yield State("gc", "disabled", lambda: _set(gc.isenabled, lambda on: gc.enable() if on else gc.disable(), False))
    yield State("gc", "eager", lambda: _set(gc.get_threshold, lambda counts: gc.set_threshold(*counts), (1, 1, 1)))
    yield State("switch interval", "short", lambda: _set(sys.getswitchinterval, sys.setswitchinterval, 1e-6))
    yield State("digits of integers", "few", lambda: _set(sys.get_int_max_str_digits, sys.set_int_max_str_digits, 640))
    yield State("trace", "", _trace(sys.gettrace, sys.settrace))
    yield State("profile", "", _trace(sys.getprofile, sys.setprofile))
    yield State("stdout", "none", _attribute(sys, "stdout", None))
    yield State("stderr", "none", _attribute(sys, "stderr", None))
    yield State("stderr", "text", lambda: contextlib.redirect_stderr(io.StringIO()))
    yield State("bytecode", "not written", _attribute(sys, "dont_write_bytecode", True))
    yield State("signal", "handled", lambda: _handler(_nothing), process=True)
    yield State("signal", "ignored", lambda: _handler(signal.SIG_IGN), process=True)
    yield State("signal", "blocked", _blocked)
    yield State("signal", "pending", _pending, process=True)
    yield State("thread", "of its own")
    yield State("thread", "in the states of another")
    yield State("directory", "other")
    yield State("directory", "removed")
    yield State("byte order", "big", _attribute(sys, "byteorder", "big"))


def _of_numpy() -> Iterator[State]:
    yield State("numpy errors", "raise", lambda: numpy.errstate(all="raise"))
    yield State("numpy errors", "call", lambda: numpy.errstate(all="call", call=_nothing))
    yield State("numpy print options", "short", lambda: numpy.printoptions(threshold=0, precision=0, edgeitems=1))
    yield State("numpy print options", "legacy", lambda: numpy.printoptions(legacy="1.13"))
    yield State("numpy buffer", "small", lambda: _set(numpy.getbufsize, numpy.setbufsize, 16))


def _of_environment() -> Iterator[State]:
    for name in VARIABLES:
        for value in (None, *_VALUES):
            words = "unset" if value is None else ascii(value)[2:-1]
            yield State(
                "environment", f"{name}={words}", lambda name=name, value=value: _variable(name, value), process=True  # type: ignore[misc]
            )  # fmt: skip


def _of_paddle() -> Iterator[State]:
    def one(kind: str, value: str, enter: Callable[[], AbstractContextManager[Any]]) -> State:
        return State(f"paddle {kind}", value, enter, needs="paddle")

    for dtype in ("float64", "float16"):
        yield one(
            "default dtype", dtype,
            lambda dtype=dtype: _set(_paddle().get_default_dtype, _paddle().set_default_dtype, dtype),  # type: ignore[misc]
        )  # fmt: skip
    yield one("no_grad", "", lambda: _paddle().no_grad())
    yield one("enable_grad", "", lambda: _paddle().enable_grad())
    read, write = lambda: _paddle().get_flags(CHECK), lambda flags: _paddle().set_flags(flags)
    yield one("check of numbers", "", lambda: _set(read, write, {CHECK: True}))


#: The states by number. New states go to the end.
STATES: tuple[State, ...] = (
    *_of_torch(), *_of_numpy(), *_of_python(), *_of_environment(), *_of_paddle(),
    *(State("interpreter", f"-{'O' * level}", lambda level=level: optimised(level)) for level in (1, 2)),  # type: ignore[misc]
)  # fmt: skip
assert len(STATES) <= 256


def last_directory(numbers: Sequence[int]) -> str:
    """The current directory that the last of these states names; "" where none does."""
    return next((STATES[number].value for number in reversed(numbers) if STATES[number].kind == "directory"), "")
