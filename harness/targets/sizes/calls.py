"""The calls of target ``sizes``. Each returns the differences from the content of its program, as (aspect, words)."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy

from harness.format.encode import encode_header
from harness.format.header import Tensor as Entry
from harness.programs.arrays import NUMPY_NAMES, WRITER_DTYPES
from harness.targets.sizes import memory
from harness.targets.sizes.memory import CHUNK
from harness.targets.sizes.program import COLUMNS_CAP, LARGEST_PART, Call, Content, Tensor

Differences = list[tuple[str, str]]
#: Bytes of a part of ``chunks``: a prime number, so that borders fall on all places of a page.
_PART = 1_048_573
#: Most parts of a tensor that is read by pread: each part reads all of it (crashes/defects/pread-slice-reads-all.toml).
_PREAD_PARTS = 8


class Session:
    """The content of one program: the memory of its writers, a file of it where a call reads one, and where they differ."""

    def __init__(self, safetensors: ModuleType, modules: Mapping[str, Any], content: Content, folder: Path) -> None:
        self._safetensors = safetensors
        self._modules = modules
        self._content = content
        self._metadata = content.metadata or None
        self._folder = folder
        self._memory = memory.memory(content)
        self._file = -1

    def close(self) -> None:
        """Remove the file."""
        if self._file >= 0:
            os.close(self._file)

    def run(self, call: Call) -> Differences:
        """Make a call, and compare. Errors of the library pass through."""
        return _CALLS[call.kind](self, call)

    # -- readers ----------------------------------------------------------------------------------------------

    def safe_open(self, call: Call) -> Differences:
        """The names, the metadata, and the tensors by one of the readings."""
        options = {"backend": call.backend} if call.backend == "pread" else {}
        framework = "pt" if call.framework == "torch" else call.framework
        with self._safetensors.safe_open(self._path(), framework=framework, **options) as file:
            found = self._names(file.keys(), file.metadata())
            if found:
                return found
            if call.reading == "get_tensors":
                return self._tensors(file.get_tensors())
            for tensor in self._content.tensors:
                found += self._read(file, tensor, call)
                if found:
                    break
        return found

    def _read(self, file: Any, tensor: Tensor, call: Call) -> Differences:
        if call.reading == "get_tensor" or not tensor.shape:
            return self._tensor(tensor, file.get_tensor(tensor.name))
        part = file.get_slice(tensor.name)
        if part.get_shape() != list(tensor.shape) or part.get_dtype() != tensor.dtype:
            return [("about", f"{tensor.name[:40]!r} is {part.get_dtype()} {part.get_shape()!r:.80}")]
        if call.reading == "whole":
            return self._tensor(tensor, part[:] if tensor.shape[0] else file.get_tensor(tensor.name))
        found: Differences = []
        if call.reading == "columns" and len(tensor.shape) > 1 and tensor.size <= COLUMNS_CAP:
            rows, columns, *rest = tensor.shape
            # Three dimensions: numpy's arrays have at most 64, and a file and torch may have more.
            whole = self._wanted(tensor).view(_numpy(tensor)).reshape(rows, columns, math.prod(rest))
            for first, last in _halves(columns):
                shape = (rows, last - first, *rest)
                found += found or _part(part[:, first:last], whole[:, first:last], shape, tensor)
            return found
        rows, row = tensor.shape[0], tensor.size // max(1, tensor.shape[0])
        wanted = self._wanted(tensor)
        for first, last in _cuts(rows, call, row):
            flat = _flat(part[first:last])
            if len(flat) != (last - first) * row:
                return [("shape", f"rows {first}:{last} of {_about(tensor)} are {len(flat)} bytes")]
            found += _bytes(flat, wanted[first * row : last * row], f"rows {first}:{last} of {_about(tensor)}")
            if found:
                break
        return found

    def load_file(self, call: Call) -> Differences:
        """All tensors of the file."""
        options = {"backend": call.backend} if call.backend == "pread" else {}
        return self._tensors(self._modules[call.framework].load_file(self._path(), **options))

    def load(self, call: Call) -> Differences:
        """All tensors of the file as bytes."""
        return self._tensors(self._modules[call.framework].load(self._bytes()))

    def deserialize(self, call: Call) -> Differences:
        """All tensors of the file as bytes, as the parser gives them."""
        read = self._safetensors.deserialize(self._bytes())
        if len(read) != len(self._content.tensors):
            return [("names", f"{len(read)} tensors are listed, the file has {len(self._content.tensors)}")]
        entries = dict(read)
        del read
        found = self._names(entries, self._metadata)
        for tensor in self._content.tensors if not found else ():
            entry = entries.pop(tensor.name)
            if entry["dtype"] != tensor.dtype or list(entry["shape"]) != list(tensor.shape):
                return [("shape", f"{_about(tensor)} is read as {entry['dtype']} {entry['shape']!r:.80}")]
            found = self._compare(tensor, numpy.frombuffer(entry["data"], "u1"))
            if found:
                break
        return found

    # -- writers ----------------------------------------------------------------------------------------------

    def save(self, call: Call) -> Differences:
        """The bytes of the arrays."""
        return self._written(self._modules[call.framework].save(self._arrays(call.framework), self._metadata))

    def serialize(self, call: Call) -> Differences:
        """The bytes of the specs."""
        return self._written(self._safetensors.serialize(self._specs(), self._metadata))

    def load_model(self, call: Call) -> Differences:
        """The tensors of a module of zeros, after the file was loaded into it."""
        torch = self._modules["torch.torch"]
        zeros = {one.name: torch.zeros(one.shape, dtype=getattr(torch, _numpy(one))) for one in self._content.tensors}
        module = _module(torch, zeros)
        options = {"backend": call.backend} if call.backend == "pread" else {}
        missing, unexpected = self._modules["torch"].load_model(module, self._path(), **options)
        if missing or unexpected:
            return [("names", f"{len(missing)} names are missing, {len(unexpected)} are not expected")]
        return self._tensors(dict(module.state_dict()))

    def save_model(self, call: Call) -> Differences:
        """A file of a module of the tensors."""
        path = self._folder / "model.safetensors"
        module = _module(self._modules["torch.torch"], self._arrays("torch"))
        return self._saved(path, lambda: self._modules["torch"].save_model(module, str(path), self._metadata))

    def save_file(self, call: Call) -> Differences:
        """A file of the arrays."""
        path = self._folder / "saved.safetensors"
        return self._saved(
            path, lambda: self._modules[call.framework].save_file(self._arrays(call.framework), path, self._metadata)
        )

    def serialize_file(self, call: Call) -> Differences:
        """A file of the specs."""
        path = self._folder / "serialized.safetensors"
        return self._saved(path, lambda: self._safetensors.serialize_file(self._specs(), path, self._metadata))

    def _saved(self, path: Path, write: Callable[[], object]) -> Differences:
        try:
            write()
            with path.open("rb", buffering=0) as file:
                descriptor = file.fileno()
                return self._compare_file(os.fstat(descriptor).st_size, lambda n, at: os.pread(descriptor, n, at))
        finally:
            path.unlink(missing_ok=True)

    def _written(self, data: bytes) -> Differences:
        view = memoryview(data)
        return self._compare_file(len(data), lambda size, at: view[at : at + size])

    def _compare_file(self, size: int, read: Callable[[int, int], Any]) -> Differences:
        """Compare a file of the parser: its header as JSON, its layout without holes, and the bytes of each tensor."""
        length = int.from_bytes(read(8, 0), "little")
        if 8 + length > size:
            return [("header", f"the length prefix says {length} bytes, the file has {size}")]
        header = json.loads(bytes(read(length, 8)))
        found = self._names(header.keys() - {"__metadata__"}, header.pop("__metadata__", None))
        if found:
            return found
        if 8 + length + self._content.size != size:
            return [("size", f"the file has {size} bytes, {8 + length + self._content.size} are right")]
        at = 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            first, last = entry["data_offsets"]
            if first != at or last < first:
                return [("layout", f"{name[:40]!r} has offsets {first} to {last}, the one before ends at {at}")]
            at = last
        start = 8 + length
        for tensor in self._content.tensors:
            entry = header[tensor.name]
            first, last = entry["data_offsets"]
            if entry["dtype"] != tensor.dtype or entry["shape"] != list(tensor.shape) or last - first != tensor.size:
                return [("shape", f"{_about(tensor)} is written as {entry!r:.120}")]
            wanted = self._wanted(tensor)
            for done in range(0, tensor.size, CHUNK):
                count = min(CHUNK, tensor.size - done)
                piece = numpy.frombuffer(_exactly(read, count, start + first + done), "u1")
                if found := _bytes(piece, wanted[done : done + count], f"from byte {done} on, {_about(tensor)}"):
                    return found
        return []

    def _arrays(self, framework: str) -> dict[str, Any]:
        arrays = {tensor.name: self._wanted(tensor).view(_numpy(tensor)) for tensor in self._content.tensors}
        shapes = {tensor.name: tensor.shape for tensor in self._content.tensors}
        if framework == "numpy":
            return {name: array.reshape(shapes[name]) for name, array in arrays.items()}
        if framework == "paddle":
            paddle = self._modules["paddle.paddle"]
            return {name: paddle.to_tensor(array.reshape(shapes[name])) for name, array in arrays.items()}
        torch = self._modules["torch.torch"]
        with warnings.catch_warnings():
            # Torch warns of memory that cannot be written: the parser has only to read it.
            warnings.simplefilter("ignore")
            return {name: torch.from_numpy(array).reshape(shapes[name]) for name, array in arrays.items()}

    def _specs(self) -> dict[str, Any]:
        make = self._safetensors.TensorSpec
        return {
            tensor.name: make(
                dtype=WRITER_DTYPES[tensor.dtype],
                shape=list(tensor.shape),
                data_ptr=self._memory.ctypes.data + tensor.place,
                data_len=tensor.size,
            )
            for tensor in self._content.tensors
        }

    # -- comparison -------------------------------------------------------------------------------------------

    def _wanted(self, tensor: Tensor) -> Any:
        return self._memory[tensor.place : tensor.place + tensor.size]

    def _names(self, names: Iterable[str], metadata: Any) -> Differences:
        wanted = {tensor.name for tensor in self._content.tensors}
        listed = list(names)
        if len(listed) != len(wanted) or set(listed) != wanted:
            return [("names", f"{len(listed)} names are given, the content has {len(wanted)} (or others)")]
        if metadata != self._metadata:
            return [
                ("metadata", f"{len(metadata or ())} entries, the content has {len(self._metadata or ())} (or others)")
            ]
        return []

    def _tensors(self, read: dict[str, Any]) -> Differences:
        """Compare all tensors at once. Metadata are not among them."""
        found = self._names(read, self._metadata)
        for tensor in self._content.tensors if not found else ():
            found = self._tensor(tensor, read.pop(tensor.name))
            if found:
                break
        return found

    def _tensor(self, tensor: Tensor, value: Any) -> Differences:
        dtype = str(value.dtype).rpartition(".")[2]
        if dtype != NUMPY_NAMES[tensor.dtype]:
            return [("dtype", f"{_about(tensor)} is read as {dtype}")]
        if tuple(value.shape) != tensor.shape:
            return [("shape", f"{_about(tensor)} is read with shape {list(value.shape)!r:.80}")]
        return self._compare(tensor, _flat(value))

    def _compare(self, tensor: Tensor, flat: Any) -> Differences:
        if len(flat) != tensor.size:
            return [("shape", f"{_about(tensor)} is read as {len(flat)} bytes")]
        return _bytes(flat, self._wanted(tensor), _about(tensor))

    # -- the file ---------------------------------------------------------------------------------------------

    def _path(self) -> str:
        if self._file < 0:
            self._file = os.memfd_create("sizes")
            self._write(self._file)
        return f"/proc/self/fd/{self._file}"

    def _write(self, descriptor: int) -> None:
        """Write the file, with holes where the memory has them."""
        content = self._content
        entries = [Entry(one.name, one.dtype, one.shape, one.begin, one.begin + one.size) for one in content.tensors]
        head = encode_header(entries, self._metadata)
        spaces = max(content.pad, content.whole - (len(head) - 8))
        head = (len(head) - 8 + spaces).to_bytes(8, "little") + head[8:] + b" " * spaces
        os.ftruncate(descriptor, len(head) + content.size)
        _put(descriptor, head, 0)
        for tensor in content.tensors:
            wanted = self._wanted(tensor)
            for first, last in memory.pieces(content, tensor):
                _put(descriptor, wanted[first:last], len(head) + tensor.begin + first)

    def _bytes(self) -> bytes:
        with open(self._path(), "rb", buffering=0) as file:
            return file.read()


_CALLS: dict[str, Callable[[Session, Call], Differences]] = {
    "safe_open": Session.safe_open, "load_file": Session.load_file, "load": Session.load, "deserialize": Session.deserialize,
    "save": Session.save, "save_file": Session.save_file, "serialize": Session.serialize,
    "serialize_file": Session.serialize_file, "save_model": Session.save_model, "load_model": Session.load_model,
}  # fmt: skip


def _module(torch: Any, tensors: Mapping[str, Any]) -> Any:
    """A module with these tensors: those of numbers with a point as parameters. A dot in a name stands before a part of a module."""
    module = torch.nn.Module()
    for name, tensor in tensors.items():
        *parents, last = name.split(".")
        place = module
        for parent in parents:
            if parent not in place._modules:  # noqa: SLF001 - get_submodule raises for what is not there
                place.add_module(parent, torch.nn.Module())
            place = place.get_submodule(parent)
        if tensor.is_floating_point():
            place.register_parameter(last, torch.nn.Parameter(tensor))
        else:
            place.register_buffer(last, tensor)
    return module


def _halves(count: int) -> list[tuple[int, int]]:
    return [(first, last) for first, last in ((0, count // 2), (count // 2, count)) if first < last]


def _cuts(count: int, call: Call, size: int) -> list[tuple[int, int]]:
    """The ranges of ``count`` rows of ``size`` bytes that a reading takes; none is empty."""
    if call.reading == "edges":
        spots = {1, count - 1, count, *(1 << bits for bits in range(count.bit_length()))}
        return [(at - 1, min(count, at + 1)) for at in sorted(spots) if 0 < at <= count]
    pread = call.backend == "pread"
    if call.reading != "chunks" and (pread or count * size <= 2 * LARGEST_PART):
        return _halves(count)
    most = _PART if count * size <= LARGEST_PART else LARGEST_PART
    step = max(1, most // max(1, size), count // _PREAD_PARTS if pread else 0)
    return [(at, min(count, at + step)) for at in range(0, count, step)]


def _part(value: Any, wanted: Any, shape: tuple[int, ...], tensor: Tensor) -> Differences:
    if tuple(value.shape) != shape:
        return [("shape", f"columns of {_about(tensor)} have shape {list(value.shape)!r:.80}")]
    flat = numpy.ascontiguousarray(wanted).reshape(-1).view("u1")
    return _bytes(_flat(value), flat, f"columns of {_about(tensor)}")


def _bytes(value: Any, wanted: Any, what: str) -> Differences:
    at = memory.difference(value, wanted)
    return [] if at < 0 else [("bytes", f"{what} has another byte at {at}")]


def _flat(value: Any) -> Any:
    """The bytes of an array of numpy or a tensor, without a copy where it is contiguous and not paddle's."""
    if not isinstance(value, numpy.ndarray):
        # Flat before it is numpy's, which holds fewer dimensions than torch.
        value = value.contiguous().reshape([-1]).numpy()
    return numpy.ascontiguousarray(value).reshape(-1).view("u1")


def _numpy(tensor: Tensor) -> str:
    return NUMPY_NAMES[tensor.dtype]


def _about(tensor: Tensor) -> str:
    return f"{tensor.name[:40]!r} ({tensor.dtype} {list(tensor.shape)!r:.60}, {tensor.size} bytes)"


def _exactly(read: Callable[[int, int], Any], size: int, at: int) -> Any:
    piece = read(size, at)
    while len(piece) < size:
        piece += read(size - len(piece), at + len(piece))
    return piece


def _put(descriptor: int, data: Any, at: int) -> None:
    rest = memoryview(data)
    while rest:
        done = os.pwrite(descriptor, rest, at)
        rest, at = rest[done:], at + done
