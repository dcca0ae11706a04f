"""The functions that programs of target ``lifetimes`` call: memory that goes with its owner, and acts in the middle of calls.

It imports the standard library and numpy alone, because reproducers carry its source.
"""

from __future__ import annotations

import array
import atexit
import collections
import collections.abc
import ctypes
import gc
import importlib
import io
import json
import math
import mmap
import os
import shutil
import tempfile
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy

#: The byte of memory whose owner is gone. No content has a run of it.
FILL = 0xDD
#: Dtypes by their codes in the format.
CODES = {
    "F32": "float32", "U8": "uint8", "I64": "int64", "F16": "float16", "BOOL": "bool", "C64": "complex64", "F64": "float64",
}  # fmt: skip
#: Tensors of the files by number: name, dtype, shape, salt.
FILES: list[list[Any]] = [
    [("a", "F32", (300,), 0), ("b", "U8", (70, 5), 1), ("c", "I64", (2, 3), 2)],
    [("a", "F32", (300,), 3), ("b", "U8", (70, 5), 4), ("c", "I64", (2, 3), 5)],
]
#: Added to the salt of a tensor that takes the place of another, that is overwritten, or that a mapping gives at its next iteration.
REPLACED, OVERWRITTEN, NEXT = 101, 51, 11
#: Errors of acts, and memory without an owner. Both are kept until a program ends, so that nothing else gets that memory.
FAILURES: list[BaseException] = []
GONE: list[Any] = []
FOLDER: list[str] = []


def content(code: str, shape: tuple[int, ...], salt: int) -> bytes:
    """The bytes of a tensor. They depend on their place."""
    size = math.prod(shape) * numpy.dtype(CODES[code]).itemsize
    raw = (numpy.arange(size) * 7 + numpy.arange(size) // 256 + salt * 61 + 1).astype("uint8")
    return bytes(raw & 1 if code == "BOOL" else raw)


def entry(code: str, shape: tuple[int, ...], salt: int) -> Any:
    """Dtype, shape and bytes of a tensor."""
    return code, shape, content(code, shape, salt)


def part(number: int, name: str, index: str = "...") -> Any:
    """Dtype, shape and bytes of ``[index]`` of a tensor in file ``number``."""
    code, shape, salt = next(one[1:] for one in FILES[number] if one[0] == name)
    whole = numpy.frombuffer(content(code, shape, salt), CODES[code]).reshape(shape)
    some = numpy.asarray(eval(f"whole[{index}]", {"whole": whole}))  # noqa: S307 - text of the language
    return code, some.shape, some.tobytes()


def file(number: int) -> bytes:
    """The bytes of file ``number``, in an object of its own."""
    header, data = {}, b""
    for name, code, shape, salt in FILES[number]:
        raw = content(code, shape, salt)
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def path(name: str) -> str:
    """The path of a file by its name."""
    if not FOLDER:
        FOLDER.append(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, FOLDER[0], ignore_errors=True)
    return os.path.join(FOLDER[0], name)


def put(name: str, number: int) -> None:
    """Let ``name`` be a new file, file ``number``. Readers of an older file of that name go on with it."""
    with open(path(name + ".new"), "wb") as target:
        target.write(file(number))
    os.replace(path(name + ".new"), path(name))


def unlink(name: str) -> None:
    """Remove the name of a file."""
    if os.path.exists(path(name)):
        os.unlink(path(name))


# -- memory and its owners ------------------------------------------------------------------------------------


def _fill(address: int, size: int) -> None:
    ctypes.memset(address, FILL, size)


def _bury(region: mmap.mmap, address: int, unmapped: bool) -> None:
    """Overwrite memory without an owner, or make it inaccessible."""
    GONE.append(region)
    if not unmapped:
        _fill(address, len(region))
    elif ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), ctypes.c_size_t(len(region)), 0):
        raise OSError("mprotect fails")


class Memory:
    """The owner of memory, by numpy's array interface. Without an owner the memory is overwritten, or inaccessible."""

    def __init__(self, data: bytes, unmapped: bool = False) -> None:
        size = -(-max(len(data), 1) // mmap.PAGESIZE) * mmap.PAGESIZE
        region = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        region[: len(data)] = data
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(region))
        self.size = len(data)
        weakref.finalize(self, _bury, region, self.address, unmapped).atexit = False

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The memory as bytes that can be written."""
        return {"version": 3, "shape": (self.size,), "typestr": "|u1", "data": (self.address, False)}


class Bytes(bytearray):
    """A bytearray whose buffer is overwritten when it is freed."""


class Items(array.array):  # type: ignore[type-arg]
    """An array of the standard library whose buffer is overwritten when it is freed."""


def _filled(buffer: Any) -> Any:
    address = ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))
    weakref.finalize(buffer, _fill, address, len(buffer)).atexit = False
    return buffer


def _in_memory(holder: str, data: bytes) -> Any:
    if holder == "bytearray":
        return numpy.frombuffer(_filled(Bytes(data)), "uint8")
    if holder == "array":
        return numpy.frombuffer(_filled(Items("B", data)), "uint8")
    if holder == "plain":
        return numpy.frombuffer(data, "uint8").copy()
    return numpy.asarray(Memory(data, holder == "unmapped"))


def held(holder: str, code: str, shape: tuple[int, ...], salt: int) -> Any:
    """An array whose memory is held by ``holder``."""
    kind = numpy.dtype(CODES[code])
    data = content(code, shape, salt)
    if holder == "swapped":
        data, kind = numpy.frombuffer(data, kind).byteswap().tobytes(), kind.newbyteorder(">")
    return _in_memory(holder, data).view(kind).reshape(shape)


def _tried(act: Callable[[], Any]) -> None:
    try:
        act()
    except BaseException as error:
        FAILURES.append(error.with_traceback(None))


class Plan:
    """An act at one point of a call, once."""

    def __init__(self, place: str = "", number: int = 0, act: Callable[[], Any] | None = None) -> None:
        self.place, self.number, self.act = place, number, act

    def reach(self, place: str, number: int = 0) -> None:
        """Do the act where ``place`` and ``number`` are its own."""
        act = self.act
        if act is not None and (place, number) == (self.place, self.number):
            self.act = None
            _tried(act)


class Watched(numpy.ndarray):
    """An array that reaches a point of its plan where its attributes are asked for."""

    plan = Plan()
    number = 0

    @property
    def dtype(self) -> Any:
        """The dtype."""
        self.plan.reach("dtype", self.number)
        return numpy.ndarray.dtype.__get__(self)

    @property  # type: ignore[misc]
    def shape(self) -> Any:
        """The shape."""
        self.plan.reach("shape", self.number)
        return numpy.ndarray.shape.__get__(self)

    @property
    def ctypes(self) -> Any:
        """The address."""
        self.plan.reach("pointer", self.number)
        return numpy.ndarray.ctypes.__get__(self)

    @property
    def nbytes(self) -> Any:
        """The size in bytes."""
        self.plan.reach("size", self.number)
        return numpy.ndarray.nbytes.__get__(self)


def _watched_tensor(tensor: Any) -> Any:
    """The same of a tensor of torch. Its class is made with the first one."""
    torch = importlib.import_module("torch")
    if not hasattr(Watched, "tensor"):
        plain = torch.Tensor

        def asked(place: str, get: Callable[[Any], Any]) -> Any:
            def look(self: Any) -> Any:
                self.plan.reach(place, self.number)
                return get(self)

            return look

        names: dict[str, Any] = {
            "__torch_function__": torch._C._disabled_torch_function_impl,  # noqa: SLF001 - the one that torch documents
            "dtype": property(asked("dtype", plain.dtype.__get__)),
            "shape": property(asked("shape", plain.shape.__get__)),
            "data_ptr": asked("pointer", plain.data_ptr),
            "is_contiguous": asked("size", plain.is_contiguous),
        }
        Watched.tensor = type("WatchedTensor", (plain,), names)  # type: ignore[attr-defined]
    return tensor.as_subclass(Watched.tensor)  # type: ignore[attr-defined]


# -- acts in the middle of a call -----------------------------------------------------------------------------


def other(act: Callable[[], Any]) -> Callable[[], None]:
    """The act in another thread, which is waited for."""

    def go() -> None:
        thread = threading.Thread(target=_tried, args=(act,), daemon=True)
        thread.start()
        ended(thread)

    return go


def ended(thread: threading.Thread) -> None:
    """Wait for the end of a thread. A joined one still returns its memory: the next allocations would depend on the clock."""
    thread.join()
    while os.path.exists(f"/proc/self/task/{thread.native_id}"):
        time.sleep(0)


class at:  # noqa: N801 - reads as a word in an index
    """An integer whose ``__index__`` does an act first."""

    def __init__(self, value: int, act: Callable[[], Any]) -> None:
        self.value, self.plan = value, Plan("", 0, act)

    def __index__(self) -> int:
        """The integer."""
        self.plan.reach("")
        return self.value


class armed:  # noqa: N801 - reads as a word in a call
    """A path whose ``__fspath__`` does an act first."""

    def __init__(self, where: str, act: Callable[[], Any]) -> None:
        self.where, self.plan = where, Plan("", 0, act)

    def __fspath__(self) -> str:
        """The path."""
        self.plan.reach("")
        return self.where


class Cycle:
    """An object that refers to itself: only the garbage collector frees it."""

    def __init__(self) -> None:
        self.me = self


def collecting(call: Callable[[], Any], act: Callable[[], Any], number: int) -> Any:
    """Make a call. The garbage collector runs at its ``number``-th new container, and a finaliser then does the act."""
    before, enabled = gc.get_threshold(), gc.isenabled()
    gc.collect(0)

    def go() -> None:
        gc.set_threshold(*before)
        _tried(act)

    finaliser = weakref.finalize(Cycle(), go)
    gc.set_threshold(number + 1, *before[1:])
    gc.enable()
    try:
        return call()
    finally:
        finaliser.detach()
        gc.set_threshold(*before)
        (gc.enable if enabled else gc.disable)()


def churn() -> None:
    """Take and free memory of many sizes, with a pattern in it."""
    for size in (24, 48, 350, 1200, 2400, 5000):
        [bytearray(b"\xee" * size) for _ in range(8)]


# -- mappings -------------------------------------------------------------------------------------------------


class Lazy(collections.abc.Mapping):  # type: ignore[type-arg]
    """A mapping that makes a value each time it is asked for one, and holds none."""

    def __init__(self, sources: dict[str, Any], make: Callable[[Any], Any]) -> None:
        self.sources, self.make = sources, make

    def __getitem__(self, name: str) -> Any:
        return self.make(self.sources[name])

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in list(self.sources) if name in self.sources])

    def __len__(self) -> int:
        return len(self.sources)

    def items(self) -> Any:
        """Names and new values."""
        return ((name, self[name]) for name in list(self.sources) if name in self.sources)


class LazyDict(dict):  # type: ignore[type-arg]
    """A dict that makes a value each time it is asked for one. With a ``step``, each iteration gives other values."""

    def __init__(self, sources: dict[str, Any], make: Callable[..., Any], step: int = 0) -> None:
        super().__init__(sources)
        self.make, self.step, self.more = make, step, -step

    def __getitem__(self, name: str) -> Any:
        return self.make(dict.__getitem__(self, name), max(self.more, 0))

    def items(self) -> Any:
        """Names and new values."""
        self.more += self.step
        return ((name, self[name]) for name in list(self) if name in self)

    def values(self) -> Any:
        """New values."""
        return (value for _, value in self.items())


class Popping(dict):  # type: ignore[type-arg]
    """A dict that lets go of each value when it gives it."""

    def items(self) -> Any:
        """Names and values, which leave the dict."""
        while self:
            name = next(iter(self))
            yield name, self.pop(name)


def archive(arrays: dict[str, Any]) -> Any:
    """An open archive of numpy, which reads an array each time it is asked for one."""
    stored = io.BytesIO()
    numpy.savez(stored, **arrays)
    stored.seek(0)
    return numpy.load(stored)


def mapping(kind: str, sources: dict[str, Any], make: Callable[..., Any]) -> tuple[Any, Any]:
    """A mapping of that kind, and the dict that acts change."""
    if kind in ("lazy", "lazy-dict", "changing"):
        store = LazyDict(sources, make, NEXT * (kind == "changing")) if kind != "lazy" else Lazy(sources, make)
        return store, store.sources if isinstance(store, Lazy) else store
    values = {name: make(source) for name, source in sources.items()}
    if kind == "archive":
        return archive(values), {}
    if kind == "popping":
        values = Popping(values)
    wrapped = {"proxy": types.MappingProxyType, "chain": collections.ChainMap}.get(kind)
    return values if wrapped is None else wrapped(values), values
