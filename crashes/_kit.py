"""Helpers of the reproducers beside: how a script ends, files, children, and counts.

A script that imports this ends with 1 where its assertion fails (the defect shows), with 0 where it holds, and with 2
where it cannot tell: a module, a release or a function is missing, or another error is met.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import itertools
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

_ENDED: list[str] = []


class Shows(AssertionError):
    """The defect shows."""


class CannotTell(Exception):
    """The library, or this machine, lacks what the script needs."""


def _end(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Say in one line how the script ends; the exit status is 1 where its own assertion fails, else 2."""
    while trace and trace.tb_next:
        trace = trace.tb_next
    own = isinstance(error, AssertionError) and trace is not None and trace.tb_frame.f_globals["__name__"] == "__main__"
    own = own or isinstance(error, Shows)
    text = " ".join(str(error).split())[:300]
    if own and not text:
        text = traceback.extract_tb(trace)[0].line or "an assertion fails"
    _ENDED.append(text)
    said = text if own or kind is CannotTell else f"{kind.__name__}: {text}"
    print("shows:" if own else "cannot tell:", said, file=sys.stdout if own else sys.stderr)
    sys.exit(1 if own else 2)


@atexit.register
def _farewell() -> None:
    if not _ENDED:
        print("does not show")


sys.excepthook = _end
if not __debug__:
    _ENDED.append("")
    print("cannot tell: python -O drops assertions", file=sys.stderr)
    sys.exit(2)


def _kind(error: BaseException) -> str:
    """The type of an error. Raises CannotTell where this release lacks a module, a framework, a function or an argument."""
    said = str(error)
    lacks = isinstance(error, ImportError) or re.search(r"framework \w+ is invalid", said) is not None
    if isinstance(error, AttributeError):
        lacks = re.search(r"'(?:safetensors\S*|builtins\.\w+)'", said) is not None
    if isinstance(error, TypeError):
        lacks = re.search("unexpected keyword argument|failed to extract enum", said) is not None
    if lacks:
        raise CannotTell(said) from error
    return type(error).__name__


@contextlib.contextmanager
def raises(kind: str = "", words: str = "", right: str = "SafetensorError") -> Iterator[None]:
    """The defect shows where this ends with an exception of ``kind`` ("": any); ``right`` is the documented error.

    In ``words``, a lone ``_`` stands for anything, and a lone ``N`` for a number.
    """
    try:
        yield
    except BaseException as error:
        met = f"{type(error).__name__}: {error}"
        if type(error).__name__ == kind and _alike(words, str(error)):
            raise Shows(met) from error
        if _kind(error) != right:
            if not kind:
                raise Shows(met) from error
            raise
        print("as it should:", met)


def _alike(words: str, text: str) -> bool:
    pattern = re.sub(r"_(?!\w)", ".*?", re.escape(words))
    pattern = re.sub(r"\bN\b", r"[-+.\\w]+", re.sub(r"\bDTYPE\b", r"\\w+", pattern))
    return re.match(pattern, " ".join(text.split()), re.DOTALL) is not None


@contextlib.contextmanager
def refused(*others: str) -> Iterator[None]:
    """The defect shows where this ends without SafetensorError, or one of ``others``."""
    try:
        yield
    except Exception as error:
        if _kind(error) not in ("SafetensorError", *others):
            raise
        print("as it should:", type(error).__name__, error)
    else:
        raise Shows("no error, where SafetensorError should be raised")


@contextlib.contextmanager
def accepted(words: str = "", *others: str) -> Iterator[None]:
    """The defect shows where this is refused with SafetensorError, or one of ``others``, in these ``words``."""
    try:
        yield
    except Exception as error:
        if _kind(error) in ("SafetensorError", *others) and _alike(words, str(error)):
            raise Shows(f"{type(error).__name__}: {error}") from error
        raise


def outcome(call: Callable[[], Any]) -> str:
    """How a call ends: accept, reject or raise."""
    try:
        call()
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        return "reject" if _kind(error) == "SafetensorError" else "raise"
    return "accept"


def taken(call: Callable[[], Any]) -> bool:
    """Whether a word is taken for a device, be there one or not: another error than of the word comes later."""
    try:
        call()
    except Exception as error:
        return _kind(error) not in ("SafetensorError", "ValueError")
    return True


def ended(call: Callable[[], Any], memory_mb: int = 0, seconds: float = 30) -> str:
    """How a child ends that makes the call: "", "memory", "hang", or the name of a signal."""
    sys.stdout.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _be_child(call, memory_mb, writer)
    os.close(writer)
    end = time.monotonic() + seconds
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "hang"
        time.sleep(0.02)
    status = os.waitstatus_to_exitcode(done[1])
    if status in (77, -signal.SIGABRT) and memory_mb:
        return "memory"
    if status > 0:
        with open(reader, "rb") as said:
            raise CannotTell(said.read().decode(errors="replace") or f"the child ended with status {status}")
    return signal.Signals(-status).name if status else ""


def _be_child(call: Callable[[], Any], memory_mb: int, writer: int) -> None:
    status = 3
    with contextlib.suppress(BaseException):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory_mb:  # beside what interpreter and numpy take
            resource.setrlimit(resource.RLIMIT_DATA, ((memory_mb + 512) << 20,) * 2)
        try:
            call()
            status = 0
        except MemoryError:
            status = 77
        except Exception as error:
            status = 0 if type(error).__name__ == "SafetensorError" else 3
            os.write(writer, f"{type(error).__name__}: {error}".encode()[:4096])
    os._exit(status)


def file(header: bytes, data: bytes = b"") -> bytes:
    """A file: the length of the header, the header, the data."""
    return len(header).to_bytes(8, "little") + header + data


def stored(data: bytes, name: str = "model.safetensors", size: int = 0) -> str:
    """The path of a new file with these bytes, alone in a folder; zeros follow up to ``size``."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = pathlib.Path(folder, name)
    path.write_bytes(data)
    if size:
        os.truncate(path, size)
    return str(path)


def content(raw: bytes) -> Any:
    """({name: (dtype, shape, bytes)}, metadata) of a file, or a sentence why the format forbids it."""
    end = 8 + int.from_bytes(raw[:8], "little")

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    try:
        header = json.loads(raw[8:end].decode(), object_pairs_hook=members)
        metadata = header.pop("__metadata__", {})
        if not all(isinstance(value, str) for value in metadata.values()):
            return f"__metadata__ is {metadata!r}"
        data = {name: raw[end:][slice(*one["data_offsets"])] for name, one in header.items()}
        return {name: (one["dtype"], one["shape"], data[name]) for name, one in header.items()}, metadata
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"


def same(value: Any, wanted: Any) -> bool:
    """Equal in type; arrays in shape, dtype and bytes. A scalar of numpy is an array of rank 0."""
    if isinstance(wanted, dict):
        keys = isinstance(value, dict) and value.keys() == wanted.keys()
        return keys and all(same(value[k], wanted[k]) for k in wanted)
    if not hasattr(wanted, "tobytes"):
        return type(value) is type(wanted) and bool(value == wanted)
    alike = hasattr(value, "tobytes") and (value.shape, value.dtype) == (wanted.shape, wanted.dtype)
    return alike and bool(value.tobytes() == wanted.tobytes())


WORDS = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
    "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "F8_E4M3": "float8_e4m3fn", "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E8M0": "float8_e8m0fnu", "C64": "complex64", "F4": "float4_e2m1fn_x2",
}  # fmt: skip


def dtype_of(tensor: Any) -> str:
    """The dtype of a framework's tensor, in the words of the format."""
    word = (getattr(tensor.dtype, "name", None) or str(tensor.dtype).rpartition(".")[2]).lower()
    return next((code for code, name in WORDS.items() if name == word), word)


def serialized(tensors: dict[str, tuple[str, Any, bytes]], metadata: Any = None) -> bytes:
    """The file that the library writes of {name: (its word for the dtype, shape, bytes)}, in any release."""
    import safetensors

    if not hasattr(safetensors, "TensorSpec"):
        specs: Any = {name: dict(zip(("dtype", "shape", "data"), one, strict=True)) for name, one in tensors.items()}
        return bytes(safetensors.serialize(specs, metadata))
    held = {name: ctypes.create_string_buffer(one[2], max(1, len(one[2]))) for name, one in tensors.items()}
    specs = {
        name: safetensors.TensorSpec(dtype=word, shape=shape, data_ptr=ctypes.addressof(held[name]), data_len=len(data))
        for name, (word, shape, data) in tensors.items()
    }
    return bytes(safetensors.serialize(specs, metadata))


def rewritten(described: Any, metadata: Any) -> bytes:
    """The file that the library writes of what ``deserialize`` gave."""
    tensors = {}
    for name, one in described:
        shape = [*one["shape"]]
        if one["dtype"] == "F4" and shape:
            shape[-1] //= 2
        tensors[name] = WORDS[one["dtype"]], shape, bytes(one["data"])
    return serialized(tensors, metadata)


def grows(what: str, *calls: Callable[[], Any]) -> bool:
    """Whether each run of the calls leaves some of these behind: descriptors, mappings, objects, blocks or bytes."""
    counts = []
    for _ in range(5):
        for _ in range(200):
            for call in calls:
                try:
                    call()
                except Exception as error:
                    _kind(error)
        counts.append(_count(what))
    print(f"{what} after every 200 runs: {counts}")
    least = 24 * 200 if what == "bytes" else 200
    # The first runs fill caches.
    return min(after - before for before, after in itertools.pairwise(counts[1:])) >= least


def _count(what: str) -> int:
    gc.collect()
    if what == "descriptors":
        return len(os.listdir("/proc/self/fd"))
    if what == "mappings":
        return pathlib.Path("/proc/self/maps").read_bytes().count(b"\n")
    if what == "bytes":
        ask = ctypes.CDLL(None).mallinfo2
        ask.restype = type("Info", (ctypes.Structure,), {"_fields_": [("fields", ctypes.c_size_t * 10)]})
        fields = ask().fields
        return int(fields[7] + fields[4])
    return len(gc.get_objects()) if what == "objects" else sys.getallocatedblocks()


def slower(run: Callable[[], Any], half: Callable[[], Any]) -> float:
    """The ratio of the CPU seconds of two runs: the least of each, over 3 to 30 turns. Noise only adds."""
    spent = [float("inf")] * 2
    turns, end = 0, time.monotonic() + 5
    while turns < 3 or (turns < 30 and time.monotonic() < end):
        for place, one in enumerate((run, half)):
            started = time.process_time()
            one()
            spent[place] = min(spent[place], time.process_time() - started)
        turns += 1
    print(f"{spent[0]:.2f} s of CPU, {spent[1]:.2f} s for half")
    return spent[0] / max(spent[1], 1e-9)


def took_mb(run: Callable[[], Any]) -> int:
    """The MB that the resident memory of this process grows by in a run, at its peak."""
    status = pathlib.Path("/proc/self/status")
    status.with_name("clear_refs").write_text("5")  # the peak of the parent is inherited: begin anew
    before = status.read_text().partition("VmHWM:")[2].split()[0]
    run()
    return (int(status.read_text().partition("VmHWM:")[2].split()[0]) - int(before)) >> 10
