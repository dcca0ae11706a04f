"""The Rust API in this process: requests to the extension, and its answers as Python values.

A call is a pair: a function below makes its request, and a method of :class:`Crate` sends it. So a program can keep its requests.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from harness.errors import HarnessError
from harness.parsers.crate_api import wire
from harness.parsers.crate_api.extension import Extension

_GIVEN, _REFUSED, _PANICKED, _LACKING = range(4)


class Refusal(Exception):
    """The crate's own error: ``variant`` of its enum, its words, and those of its ``source`` ("" for none).

    ``fields`` are ``dim_index``, ``asked`` and ``dim_size`` of ``SliceOutOfRange``, else empty.
    """

    def __init__(self, variant: str, message: str, source: str, fields: Sequence[int]) -> None:
        super().__init__(message)
        self.variant, self.source, self.fields = variant, source, tuple(fields)


class PanicException(BaseException):
    """A panic that the extension caught. It has the name of pyo3's; ``place`` is ``file:line`` in the source."""

    def __init__(self, message: str, place: str) -> None:
        super().__init__(message)
        self.place = place


class Lacking(Exception):
    """The release lacks the call, the dtype or the form of an index."""


class View(NamedTuple):
    """A ``TensorView``."""

    dtype: str
    shape: list[int]
    data: bytes


class Info(NamedTuple):
    """A ``TensorInfo``, with both ends of ``data_offsets``."""

    dtype: str
    shape: list[int]
    begin: int
    end: int


class Header(NamedTuple):
    """A ``Metadata``. ``by_name`` says whether ``info`` gives the entries of ``tensors``, and None for another name.

    ``size`` is the number that ``read_metadata`` gives beside it, ``json`` its header as text; both are empty elsewhere. A part that
    the release lacks is None.
    """

    tensors: dict[str, Info]
    by_name: bool
    offset_keys: list[str] | None
    data_len: int | None
    metadata: dict[str, str] | None
    size: int = 0
    json: str = ""


class Listing(NamedTuple):
    """A ``SafeTensors``: ``len``, ``is_empty``, ``names``, ``tensors`` and ``iter``."""

    length: int
    empty: bool
    names: list[str]
    tensors: list[tuple[str, View]]
    iterated: list[tuple[str, View]]


class Part(NamedTuple):
    """A ``SliceIterator``: its shape, its length in bytes, and each chunk with the length left after it.

    ``more``: it gave something after its end. ``method``: the first of ``Iterator`` that differs from ``next``, or "".
    """

    shape: list[int]
    length: int
    chunks: list[tuple[bytes, int]]
    more: bool
    method: str


class Dtype(NamedTuple):
    """A ``Dtype``: its name in a header, its words, its size in bits and in bytes, and how many others are less."""

    name: str
    words: str
    bits: int
    size: int
    rank: int


class Wrapped(NamedTuple):
    """An error that wraps another: the words of the inner one, then its variant, its words, and those of its source."""

    inner: str
    variant: str
    words: str
    source: str


class Fitted(NamedTuple):
    """A text that went into a buffer: the whole of it, whether the crate says that it fitted, and what lies in the buffer."""

    text: str
    whole: bool
    written: bytes


class Item(NamedTuple):
    """One item of an index; ``kind`` is the place of its form in :data:`KINDS`, ``left`` and ``right`` those of bounds in BOUNDS."""

    kind: int
    a: int = 0
    b: int = 0
    left: int = 0
    right: int = 0
    step: int = 1


#: Forms of an item, as Rust source; ``Narrow`` has two bounds and a step.
KINDS = ("{a}", "{a}..{b}", "{a}..", "..", "{a}..={b}", "..{b}", "..={b}", "TensorIndexer::Select({a})", "Narrow")
BOUNDS = ("Bound::Unbounded", "Bound::Included({})", "Bound::Excluded({})")
INTEGER, RANGE, FROM, FULL, INCLUSIVE, TO, TO_INCLUSIVE, SELECT, NARROW = range(len(KINDS))

# -- requests -------------------------------------------------------------------------------------------------


def read_metadata(file: bytes) -> bytes:
    """``SafeTensors::read_metadata``."""
    return b"\0" + wire.raw(file)


def deserialize(file: bytes) -> bytes:
    """``SafeTensors::deserialize``, and all that it lists."""
    return b"\1" + wire.raw(file)


def tensor(file: bytes, name: str) -> bytes:
    """``SafeTensors::tensor``."""
    return b"\2" + wire.raw(file) + wire.text(name)


#: Ways to ask for a part: ``sliced_data``, ``IndexOp::slice`` of one item, and of a tuple.
SLICED_DATA, BY_VALUE, BY_TUPLE = range(3)


def part(form: int, file: bytes, name: str, items: Sequence[Item]) -> bytes:
    """``TensorView::sliced_data``, or ``IndexOp::slice``, of a tensor of a file."""
    return bytes((3, form)) + wire.raw(file) + wire.text(name) + wire.items(items)


def byte_ranges(dtype: str, shape: Sequence[int], items: Sequence[Item]) -> bytes:
    """``slice_byte_ranges``."""
    return b"\4" + wire.text(dtype) + wire.numbers(shape) + wire.items(items)


def view_new(dtype: str, shape: Sequence[int], data: bytes) -> bytes:
    """``TensorView::new``."""
    return b"\5" + wire.text(dtype) + wire.numbers(shape) + wire.raw(data)


def metadata_new(
    metadata: Mapping[str, str] | None, tensors: Iterable[tuple[str, Info]], *, as_json: bool = False
) -> bytes:
    """``Metadata::new``; ``as_json``: written as a header and read again."""
    return bytes((6 + as_json,)) + _metadata(metadata, tensors)


def _metadata(metadata: Mapping[str, str] | None, tensors: Iterable[tuple[str, Info]]) -> bytes:
    rows = [
        wire.text(name)
        + wire.text(info.dtype)
        + wire.numbers(info.shape)
        + wire.number(info.begin)
        + wire.number(info.end)
        for name, info in tensors
    ]
    return wire.entries(metadata) + wire.rows(rows)


def metadata_from_json(header: bytes) -> bytes:
    """``Metadata`` from the text of a header alone."""
    return b"\x0c" + wire.raw(header)


def metadata_into(metadata: Mapping[str, str] | None, tensors: Iterable[tuple[str, Info]], room: int) -> bytes:
    """The header of ``Metadata::new``, written into a buffer of ``room`` bytes."""
    return b"\x0d" + wire.number(room) + _metadata(metadata, tensors)


def refusal_into(dtype: str, shape: Sequence[int], data: bytes, room: int) -> bytes:
    """The words with which ``TensorView::new`` refuses, written into a buffer of ``room`` bytes."""
    return b"\x0e" + wire.number(room) + view_new(dtype, shape, data)[1:]


#: Values that ``serialize`` takes: views, references to views, and a type of ours that borrows or owns its data.
VIEWS, REFERENCES, BORROWED, OWNED = range(4)


def serialize(
    kind: int, tensors: Iterable[tuple[str, View]], metadata: Mapping[str, str] | None, path: str = "", *, long: int = 0
) -> bytes:
    """``serialize``; with a ``path``, ``serialize_to_file``. ``long`` adds an entry of metadata of that many bytes."""
    rows = [
        wire.text(name) + wire.text(view.dtype) + wire.numbers(view.shape) + wire.raw(view.data)
        for name, view in tensors
    ]
    return bytes((8, kind)) + wire.text(path) + wire.entries(metadata, long) + wire.rows(rows)


def dtypes(names: Sequence[str]) -> bytes:
    """The methods of ``Dtype``."""
    return b"\x09" + wire.rows([*map(wire.text, names)])


def indexer_words(items: Sequence[Item]) -> bytes:
    """``Display`` of ``TensorIndexer``."""
    return b"\x0a" + wire.items(items)


WRAPPED_ERRORS = b"\x0b"

# -- answers --------------------------------------------------------------------------------------------------


class _Answer:
    """Takes an answer apart."""

    def __init__(self, raw: bytes, lacks: Container[str]) -> None:
        self._raw, self._at, self._lacks = raw, 1, lacks

    def byte(self) -> int:
        self._at += 1
        return self._raw[self._at - 1]

    def number(self) -> int:
        self._at += 8
        return int.from_bytes(self._raw[self._at - 8 : self._at], "little")

    def bytes(self) -> bytes:
        count = self.number()
        self._at += count
        return self._raw[self._at - count : self._at]

    def text(self) -> str:
        return self.bytes().decode()

    def row(self, one: Callable[[], Any]) -> list[Any]:
        return [one() for _ in range(self.number())]

    def numbers(self) -> list[int]:
        count = self.number()
        found = struct.unpack_from(f"<{count}Q", self._raw, self._at)
        self._at += 8 * count
        return list(found)

    def view(self) -> View:
        return View(self.text(), self.numbers(), self.bytes())

    def named(self) -> tuple[str, View]:
        return self.text(), self.view()

    def header(self, size: int = 0, json: str = "") -> Header:
        tensors, by_name = {}, True
        for _ in range(self.number()):
            name = self.text()
            tensors[name] = Info(self.text(), self.numbers(), *self.numbers())
            by_name &= self.byte() == 1
        by_name &= self.byte() == 1
        keys: list[str] | None = self.row(self.text)
        length: int | None = self.number()
        if self._lacks:
            keys = None if "Metadata::offset_keys" in self._lacks else keys
            length = None if "Metadata::data_len" in self._lacks else length
        metadata = dict(self.row(lambda: (self.text(), self.text()))) if self.byte() else None
        return Header(tensors, by_name, keys, length, metadata, size, json)


class Crate:
    """An extension, loaded into this process. Raises HarnessError where it does not load.

    Each method sends one request. It raises Refusal, PanicException or Lacking where the call gave nothing.
    """

    def __init__(self, extension: Extension) -> None:
        self._lacks = extension.lacks
        try:
            self._call = ctypes.PyDLL(str(extension.path)).safetensors_crate_call
        except (OSError, AttributeError) as error:
            hint = "build it again: harness build --force"
            raise HarnessError(f"the extension for the Rust API does not load: {error}", hint=hint) from error
        self._call.restype = ctypes.c_void_p
        self._call.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]
        self._length = ctypes.c_size_t()
        self._answered = ctypes.addressof(self._length)

    def _ask(self, request: bytes) -> _Answer:
        place = self._call(request, len(request), self._answered)
        raw = ctypes.string_at(place, self._length.value)
        answer, status = _Answer(raw, self._lacks), raw[0]
        if status == _GIVEN:
            return answer
        if status == _REFUSED:
            raise Refusal(answer.text(), answer.text(), answer.text(), answer.numbers())
        if status == _LACKING:
            raise Lacking(answer.text())
        raise PanicException(answer.text(), answer.text())

    def read_metadata(self, request: bytes) -> Header:
        """The size of a header and its metadata."""
        answer = self._ask(request)
        return answer.header(answer.number())

    def deserialize(self, request: bytes) -> Listing:
        """The content of a file."""
        answer = self._ask(request)
        length, empty, names = answer.number(), answer.byte() == 1, answer.row(answer.text)
        return Listing(length, empty, names, answer.row(answer.named), answer.row(answer.named))

    def tensor(self, request: bytes) -> View:
        """One tensor of a file."""
        return self._ask(request).view()

    def part(self, request: bytes) -> Part:
        """A part of a tensor."""
        answer = self._ask(request)
        shape, length = answer.numbers(), answer.number()
        row = answer.row(lambda: (answer.bytes(), answer.number()))
        return Part(shape, length, row, answer.byte() == 1, answer.text())

    def byte_ranges(self, request: bytes) -> tuple[list[int], list[tuple[int, int]]]:
        """The shape of a part, and where its bytes lie."""
        answer = self._ask(request)
        shape, ends = answer.numbers(), answer.numbers()
        return shape, list(zip(ends[::2], ends[1::2], strict=True))

    def view_new(self, request: bytes) -> list[tuple[View, int]]:
        """A view by its methods, by the trait ``View``, and by that of a reference; each with its length in bytes."""
        answer = self._ask(request)
        view = answer.view()
        return [(view, len(view.data)), *((answer.view(), answer.number()) for _ in range(2))]

    def metadata_new(self, request: bytes) -> Header:
        """Metadata of the caller's values."""
        return self._ask(request).header()

    def metadata_json(self, request: bytes) -> Header:
        """The same, written as JSON and read again."""
        answer = self._ask(request)
        return answer.header(json=answer.text())

    def metadata_from_json(self, request: bytes) -> Header:
        """Metadata of a header alone."""
        return self._ask(request).header()

    def fitted(self, request: bytes) -> Fitted:
        """A text in a buffer of the caller's."""
        answer = self._ask(request)
        return Fitted(answer.text(), answer.byte() == 1, answer.bytes())

    def serialize(self, request: bytes) -> bytes:
        """A file."""
        return self._ask(request).bytes()

    def serialize_to_file(self, request: bytes) -> None:
        """A file at the path of the request."""
        self._ask(request)

    def dtypes(self, request: bytes) -> list[Dtype]:
        """The answers of each dtype about itself."""
        answer = self._ask(request)
        text, number = answer.text, answer.number
        return answer.row(lambda: Dtype(text(), text(), number(), number(), number()))

    def indexer_words(self, request: bytes) -> list[str]:
        """Each item as text."""
        answer = self._ask(request)
        return answer.row(answer.text)

    def wrapped_errors(self, request: bytes) -> list[Wrapped]:
        """Errors that wrap another."""
        answer = self._ask(request)
        return answer.row(lambda: Wrapped(answer.text(), answer.text(), answer.text(), answer.text()))
