"""Ways to break one file of a checkpoint, or to put another one in its place."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

from harness.bench.checkpoints import parts
from harness.bench.checkpoints.breakages import Expected, a_file, breakage, lfs_pointer, replaced
from harness.format.encode import encode_header
from harness.format.header import Tensor


@breakage("the file ends before its tensors do", "file-refused", "layout.truncated", "cut off")
def _truncate(folder: Path, draw: random.Random) -> Expected | None:
    path = a_file(folder, draw, tensors=1)
    if path is None:
        return None
    raw, start = path.read_bytes(), 8 + parts.header(path).size
    parts.write(path, raw[: start + (len(raw) - start) // 2])
    return Expected((path,))


@breakage("the file ends inside its header", "file-refused", "framing.header-truncated", "cut off")
def _truncate_header(folder: Path, draw: random.Random) -> Expected | None:
    return replaced(folder, draw, lambda raw: raw[: 8 + int.from_bytes(raw[:8], "little") // 2])


@breakage("the file is empty", "file-refused", "empty")
def _empty(folder: Path, draw: random.Random) -> Expected | None:
    return replaced(folder, draw, lambda raw: b"")


@breakage("the file was never filled: it is all zeros", "file-refused", "zero")
def _zeros(folder: Path, draw: random.Random) -> Expected | None:
    # Space on a disk is given out in blocks.
    return replaced(folder, draw, lambda raw: bytes(max(len(raw), 4096)))


@breakage("bytes follow the last tensor", "file-refused", "layout.trailing")
def _append(folder: Path, draw: random.Random) -> Expected | None:
    return replaced(folder, draw, lambda raw: raw + b"\0" * 16)


@breakage("the length of the header is absurd", "file-refused", "framing.header-limit")
def _header_length(folder: Path, draw: random.Random) -> Expected | None:
    return replaced(folder, draw, lambda raw: (1 << 40).to_bytes(8, "little") + raw[8:])


@breakage("a name stands twice in a header", "file-refused", "header.duplicate-key")
def _duplicate_key(folder: Path, draw: random.Random) -> Expected | None:
    path = a_file(folder, draw, tensors=1)
    if path is None:
        return None
    raw, old = path.read_bytes(), parts.header(path)
    text = raw[8 : 8 + old.size].rstrip()
    tensor = draw.choice(old.tensors)
    member = encode_header([tensor], pad=1)[9:-1]
    text = text[:-1] + b"," + member + b"}"
    text += b" " * (-len(text) % 8)
    parts.write(path, len(text).to_bytes(8, "little") + text + raw[8 + old.size :])
    return Expected((path,), (tensor.name,))


def _changed(folder: Path, draw: random.Random, change: Callable[[Tensor], Tensor]) -> Expected | None:
    """Change the entry of a tensor that has bytes, over the same buffer."""
    path = a_file(folder, draw, tensors=1)
    if path is None:
        return None
    tensors = list(parts.header(path).tensors)
    at = draw.choice([at for at, tensor in enumerate(tensors) if tensor.end > tensor.begin])
    tensors[at] = change(tensors[at])
    parts.replace(path, tensors)
    return Expected((path,), (tensors[at].name,))


@breakage("a tensor's bytes do not fit its shape and dtype", "file-refused", "tensor.size")
def _dtype(folder: Path, draw: random.Random) -> Expected | None:
    other = {"F64": "F32", "I64": "U8", "U64": "U8", "C64": "U8"}
    return _changed(folder, draw, lambda tensor: tensor._replace(dtype=other.get(tensor.dtype, "F64")))


@breakage("a tensor's bytes do not fit its shape and dtype", "file-refused", "tensor.size")
def _offset(folder: Path, draw: random.Random) -> Expected | None:
    """The lowest bit of an end is flipped."""
    return _changed(folder, draw, lambda tensor: tensor._replace(end=tensor.end ^ 1))


@breakage("two tensors share bytes", "file-refused", "layout.overlap")
def _overlap(folder: Path, draw: random.Random) -> Expected | None:
    """All tensors from one on move back by a byte, over the one before it; the buffer loses its last byte."""
    path = a_file(folder, draw, tensors=2)
    if path is None:
        return None
    raw, old = path.read_bytes(), parts.header(path)
    order = sorted((tensor for tensor in old.tensors if tensor.end > tensor.begin), key=lambda tensor: tensor.begin)
    rank = draw.randrange(1, len(order))
    start = order[rank].begin
    moved = [
        tensor if tensor.begin < start else tensor._replace(begin=tensor.begin - 1, end=tensor.end - 1)
        for tensor in old.tensors
    ]
    parts.replace(path, moved, raw[8 + old.size : -1])
    return Expected((path,), (order[rank - 1].name, order[rank].name))


@breakage("a Git LFS pointer lies in place of the file", "file-refused", "LFS")
def _lfs_pointer(folder: Path, draw: random.Random) -> Expected | None:
    return replaced(folder, draw, lfs_pointer)


@breakage("an HTML page lies in place of the file", "file-refused", "HTML", "web page")
def _html(folder: Path, draw: random.Random) -> Expected | None:
    page = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n"
    return replaced(folder, draw, lambda raw: page)


@breakage("a message in JSON lies in place of the file", "file-refused", "JSON")
def _message(folder: Path, draw: random.Random) -> Expected | None:
    return replaced(folder, draw, lambda raw: b'{"error":"Invalid credentials in Authorization header"}')


@breakage("a gzip archive lies in place of the file", "file-refused", "gzip")
def _compressed(folder: Path, draw: random.Random) -> Expected | None:
    return replaced(folder, draw, lambda raw: gzip.compress(raw, mtime=0))
