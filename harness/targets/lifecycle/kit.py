"""The functions that programs of target ``lifecycle`` call: on files and arrays, in two threads, in a forked process.

It imports the standard library and numpy alone, because reproducers carry its source.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import gc
import json
import math
import os
import pickle
import resource
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy

_SET_TIMERSLACK = 29  # linux/prctl.h

#: The files by number: tensors as (name, dtype, dtype of numpy, shape, salt), and metadata. The first two differ in values
#: alone; one is longer than a page of memory.
SPECS: list[Any] = [
    ([("a", "F32", "float32", (4,), 0)], None),
    ([("a", "F32", "float32", (4,), 1)], None),
    ([("a", "F32", "float32", (4,), 2), ("b", "U8", "uint8", (3, 4), 3)], {"k": "v"}),
    ([("a", "U8", "uint8", (1,), 4)], None),
    ([], {"only": "metadata"}),
    ([("a", "F32", "float32", (3000,), 5), ("b", "F64", "float64", (2,), 6)], None),
    ([("b", "I64", "int64", (2, 2), 7), ("a", "F16", "float16", (4,), 8), ("c", "BOOL", "bool", (0,), 9)], {}),
]
METADATA = [metadata for _, metadata in SPECS]


def content(size: int, salt: int) -> bytes:
    """Bytes that depend on their place."""
    return bytes((at * 7 + (at >> 8) + salt * 61 + 1) & 255 for at in range(size))


def arrays(number: int) -> dict[str, Any]:
    """The tensors of a file as numpy arrays, by name."""
    return {
        name: numpy.frombuffer(content(math.prod(shape) * numpy.dtype(kind).itemsize, salt), kind).reshape(shape)
        for name, _, kind, shape, salt in SPECS[number][0]
    }


CONTENTS = [arrays(number) for number in range(len(SPECS))]


def file(number: int) -> bytes:
    """The bytes of a file."""
    header: dict[str, Any] = {}
    if METADATA[number] is not None:
        header["__metadata__"] = METADATA[number]
    data = b""
    for name, dtype, _, shape, _ in SPECS[number][0]:
        raw = CONTENTS[number][name].tobytes()
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


FILES = [file(number) for number in range(len(SPECS))]


def put(path: str, data: bytes) -> None:
    """A new file at ``path``."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    rewrite(path, data)


def rewrite(path: str, data: bytes) -> None:
    """Another content in the same file, as by ``open(path, "wb")``."""
    with open(path, "wb", buffering=0) as target:
        target.write(data)


def poke(path: str) -> None:
    """Change the last byte of the file."""
    with open(path, "r+b", buffering=0) as target:
        target.seek(-1, 2)
        last = target.read(1)
        target.seek(-1, 2)
        target.write(bytes([last[0] ^ 255]))


def cut(path: str, keep: float) -> None:
    """Cut off the end of the file: ``keep`` is the fraction that stays, or -1 for all but a byte."""
    size = os.path.getsize(path)
    os.truncate(path, size - 1 if keep < 0 else int(size * keep))


def odd(folder: str) -> dict[str, str]:
    """Paths without a readable file, by what they name instead."""
    paths = {name: os.path.join(folder, name) for name in ("nothing", "folder", "loop", "dangling", "file")}
    paths["long"] = os.path.join(folder, "x" * 300)
    paths["through"] = os.path.join(paths["file"], "x")
    with contextlib.suppress(FileExistsError):
        os.mkdir(paths["folder"])
        put(paths["file"], b"")
        os.symlink("loop", paths["loop"])
        os.symlink("nowhere", paths["dangling"])
    return paths


def without_descriptors(call: Callable[[], Any]) -> Any:
    """Make a call in a process that may open no further file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        return call()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def change(array: Any) -> None:
    """Overwrite an array in place."""
    array[...] = 0 if array.dtype != bool else False


def same(value: Any, wanted: Any) -> bool:
    """Equal in type; of arrays, shape, dtype and bytes."""
    if isinstance(wanted, dict):
        keys = isinstance(value, dict) and value.keys() == wanted.keys()
        return keys and all(same(value[k], wanted[k]) for k in wanted)
    if isinstance(wanted, numpy.ndarray):
        if not isinstance(value, numpy.ndarray) or (value.shape, value.dtype) != (wanted.shape, wanted.dtype):
            return False
        return value.tobytes() == wanted.tobytes()
    return type(value) is type(wanted) and bool(value == wanted)


def caught(call: Callable[[], Any]) -> Any:
    """The error that a call raises; None where it raises none."""
    try:
        call()
    except Exception as error:
        # Frames hold objects that the program drops later.
        return error.with_traceback(None)
    return None


def again(error: BaseException, how: str) -> list[bool]:
    """Whether a copy of an error has the same type, arguments and message."""
    ways: dict[str, Callable[[Any], Any]] = {"copy": copy.copy, "deepcopy": copy.deepcopy}
    number = pickle.HIGHEST_PROTOCOL if how == "pickle" else 0
    other = ways[how](error) if how in ways else pickle.loads(pickle.dumps(error, number))  # noqa: S301 - our own
    return [type(other) is type(error), other.args == error.args, str(other) == str(error)]


def raised(kind: type[BaseException]) -> bool:
    """Whether a subclass of the library's error can be raised, and caught as that error."""
    own = type("Own", (kind,), {"extra": 1})
    try:
        raise own("words", 2)
    except kind as error:
        return type(error) is own and error.args == ("words", 2)


def answer(call: Callable[[], Any]) -> Any:
    """The value of a call, or "Type: message" of its exception."""
    try:
        return call()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def threads(first: Callable[[], Any], second: Callable[[], Any], allowed: list[Any]) -> list[Any]:
    """The first answer outside ``allowed`` of each of two threads that make these calls at once, until each has made thirty.

    They take turns wherever a call gives up the interpreter's lock: a thread that waits for it asks for it after a microsecond.
    """
    strange: dict[int, Any] = {}
    made = [0, 0]
    before = sys.getswitchinterval()

    def go(number: int, call: Callable[[], Any]) -> None:
        # Else Linux adds 50 microseconds to each wait.
        ctypes.CDLL(None).prctl(_SET_TIMERSLACK, 1)
        while min(made) < 30 and made[number] < 10_000:
            given = answer(call)
            made[number] += 1
            if number not in strange and not any(same(given, wanted) for wanted in allowed):
                strange[number] = given

    other = threading.Thread(target=go, args=(1, second), daemon=True)
    sys.setswitchinterval(1e-6)
    try:
        other.start()
        go(0, first)
        other.join(5)
    finally:
        sys.setswitchinterval(before)
    return [*strange.values()] + ["the other thread does not end"] * other.is_alive()


def fork(call: Callable[[], Any]) -> Any:
    """The value of a call in a forked child, or a sentence on how the child ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT):
            signal.signal(number, signal.SIG_DFL)
        try:
            os.write(writer, pickle.dumps(answer(call)))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return pickle.loads(said) if status == 0 else f"the child ended with status {status}"  # noqa: S301 - our own


def collect() -> None:
    """Collect the youngest garbage."""
    gc.collect(0)
