"""The full judge: names the rule that a file breaks, or the point that the text leaves open."""

from __future__ import annotations

from functools import partial

from harness.format.dtypes import DTYPE_BITS
from harness.format.framing import check_framing
from harness.format.header import METADATA, Header, Tensor
from harness.format.jsontext import Object, Opaque, Reader, Value, field_span, key_span, value_span
from harness.format.jsontoken import JsonError, Odd
from harness.format.judgement import SOUND, Explanation, Judgement, Problem, Verdict
from harness.format.layout import check_layout
from harness.format.rules import ORDER, U64_MAX

_FIELDS = ("dtype", "shape", "data_offsets")


def judge_strictly(data: bytes, size: int) -> Judgement:
    """Judges a file of ``size`` bytes whose first bytes, at least its whole header, are ``data``."""
    refusal = check_framing(data, size)
    if refusal is not None:
        return Judgement("reject", refusal.rule, refusal.aspect, None, Explanation(refusal.detail, refusal.span))
    length = int.from_bytes(data[:8], "little")
    end = 8 + length
    reading = _Reading(data, end)
    try:
        reading.read()
    except JsonError as error:
        detail = f"the header is not JSON at byte {error.start}: {error.aspect}"
        return Judgement("reject", "header.json", error.aspect, None, Explanation(detail, (error.start, error.end)))
    if reading.worst is None or reading.worst.rule.startswith("unspecified."):
        for misplaced in check_layout(reading.tensors, size - end):
            at = reading.position(misplaced.tensor)
            reading.note(misplaced.rule, misplaced.aspect, misplaced.detail, at, "data_offsets" if at >= 0 else "")
    worst = reading.worst
    header = Header(length, reading.metadata, tuple(reading.tensors)) if reading.readable else None
    if worst is None:
        return Judgement("accept", "", "", header, SOUND)
    reason = partial(_explain, data, end, worst)
    settled = not worst.rule.startswith("unspecified.")
    verdict: Verdict = "reject" if settled else "unspecified"
    return Judgement(verdict, worst.rule, worst.aspect, None if settled else header, reason)


def _explain(data: bytes, end: int, problem: Problem) -> Explanation:
    return Explanation(problem.detail, _span(data, end, problem))


class _Reading:
    """One pass over the header: tensors, metadata, and the problem of the highest rank so far."""

    def __init__(self, data: bytes, end: int) -> None:
        self._reader = Reader(data, 8, end)
        self._places: dict[str, int] = {}
        self._rank = len(ORDER)
        self.worst: Problem | None = None
        self.metadata: dict[str, str] | None = None
        self.tensors: list[Tensor] = []
        self.readable = True

    def note(self, rule: str, aspect: str, detail: str, at: int = -1, field: str = "", place: int = -1) -> None:
        """Keeps the problem of the highest rank, and the first in the text of equals. ``place`` is that of a key."""
        rank = ORDER[rule, aspect]
        if rank < self._rank:
            span = (place, place) if place >= 0 else None
            self._rank, self.worst = rank, Problem(rule, aspect, detail, at, field, span)

    def position(self, tensor: Tensor | None) -> int:
        """The position of the key of ``tensor`` in the file, -1 for none."""
        return -1 if tensor is None else self._places[tensor.name]

    def read(self) -> None:
        """Reads the header to its end. Raises JsonError."""
        places = self._places
        for key, at, value in self._reader.members():
            if key in places:
                aspect = "metadata" if key == METADATA else "tensor-name"
                self.note("header.duplicate-key", aspect, f"the key {_quote(key)} stands twice", at)
                continue
            places[key] = at
            if key == METADATA:
                self._read_metadata(value, at)
            else:
                self._read_tensor(key, value, at)
        place = self._reader.nested_duplicate
        if place >= 0:
            self.note("header.duplicate-key", "nested", "a key of a nested object stands twice", place=place)

    def _read_metadata(self, value: Value, at: int) -> None:
        if not isinstance(value, Object):
            aspect = "null" if value is None else "not-object"
            self.note("metadata.strings", aspect, f"{METADATA} is {_kind(value)}, not an object", at)
            return
        for key, place in value.duplicates.items():
            detail = f"the key {_quote(key)} of {METADATA} stands twice"
            self.note("header.duplicate-key", "metadata-key", detail, at, place=place)
        strings: dict[str, str] = {}
        for key, item in value.fields.items():
            if not isinstance(item, str):
                detail = f"the value of {_quote(key)} in {METADATA} is {_kind(item)}, not a string"
                self.note("metadata.strings", "value-not-string", detail, at, key)
                continue
            strings[key] = item
            for part, text in (("key", key), ("value", item)):
                if _lone(text):
                    detail = f"the {part} {_quote(text)} in {METADATA} holds half a surrogate pair"
                    self.note("unspecified.lone-surrogate", f"metadata-{part}", detail, at, key)
        self.metadata = strings

    def _read_tensor(self, name: str, value: Value, at: int) -> None:
        if not isinstance(value, Object):
            aspect = "array-form" if value is Opaque.ARRAY else "null" if value is None else "scalar"
            self.note("tensor.fields", aspect, f"{_quote(name)} is {_kind(value)}, not an object", at)
            return
        fields = value.fields
        for key, place in value.duplicates.items():
            aspect = "tensor-field" if key in _FIELDS else "extra-field"
            detail = f"the key {_quote(key)} of {_quote(name)} stands twice"
            self.note("header.duplicate-key", aspect, detail, at, place=place)
        if missing := [field for field in _FIELDS if field not in fields]:
            self.note("tensor.fields", "missing", f"{_quote(name)} has no {missing[0]}", at)
            return
        if _lone(name):
            detail = f"the name {_quote(name)} holds half a surrogate pair"
            self.note("unspecified.lone-surrogate", "tensor-name", detail, at)
        if len(fields) > len(_FIELDS):
            extra = next(field for field in fields if field not in _FIELDS)
            detail = f"{_quote(name)} has the field {_quote(extra)} beyond dtype, shape and data_offsets"
            self.note("unspecified.extra-field", "tensor", detail, at, extra)
        self._read_fields(name, fields, at)

    def _read_fields(self, name: str, fields: dict[str, Value], at: int) -> None:
        """Notes the faults of the three fields, in the order of the rules; keeps the tensor if it is sound."""
        dtype = fields["dtype"]
        bits = DTYPE_BITS.get(dtype) if isinstance(dtype, str) else None
        if not isinstance(dtype, str):
            self.note("tensor.dtype", "not-string", f"the dtype of {_quote(name)} is {_kind(dtype)}", at, "dtype")
        elif bits is None:
            self.note("tensor.dtype", "unknown", f"{_quote(name)} has the dtype {_quote(dtype)}", at, "dtype")
        shape, odd, bad_shape = _integers(fields["shape"])
        if bad_shape:
            self.note("tensor.shape", bad_shape, f"the shape of {_quote(name)}: {bad_shape}", at, "shape")
        elif odd:
            detail = f"a dimension of {_quote(name)} is not spelled as plain digits"
            self.note("unspecified.integer-form", "shape", detail, at, "shape")
        offsets, odd, bad_offsets = _integers(fields["data_offsets"])
        bad_offsets = bad_offsets or _offset_aspect(offsets)
        if bad_offsets:
            self.note(
                "tensor.offsets", bad_offsets, f"the data_offsets of {_quote(name)}: {bad_offsets}", at, "data_offsets"
            )
        elif odd:
            detail = f"an offset of {_quote(name)} is not spelled as plain digits"
            self.note("unspecified.integer-form", "offsets", detail, at, "data_offsets")
        if bits is not None and not bad_shape and not bad_offsets:
            self._read_size(Tensor(name, str(dtype), tuple(shape), *offsets), bits, at)

    def _read_size(self, tensor: Tensor, bits: int, at: int) -> None:
        """Keeps ``tensor`` if its offsets fit its shape at ``bits`` an element, else notes the fault."""
        name, _, shape, begin, end = tensor
        total = _total(bits, shape)
        if total is None:
            self.note("tensor.size", "overflow", f"{_quote(name)} has more than 2^64-1 bits", at, "shape")
        elif total % 8:
            detail = f"{_quote(name)} takes {total} bits, which are no whole bytes"
            self.note("tensor.sub-byte", "partial", detail, at, "shape")
        elif total != 8 * (end - begin):
            detail = f"{_quote(name)} takes {total // 8} bytes by dtype and shape, {end - begin} by data_offsets"
            self.note("tensor.size", "mismatch", detail, at, "data_offsets")
        else:
            if total == 0 and max(shape) > U64_MAX:
                self.readable = False
                detail = f"{_quote(name)} is empty, and one of its dimensions is beyond 64 bits"
                self.note("unspecified.huge-dimension", "shape", detail, at, "shape")
            self.tensors.append(tensor)


def _integers(value: Value) -> tuple[list[int], bool, str]:
    """Reads a list of non-negative integers: (values, whether one has an odd spelling, aspect of the fault or "")."""
    if not isinstance(value, list):
        return [], False, "not-list"
    plain = [item.value if isinstance(item, Odd) else item for item in value]
    numbers: list[int] = [item for item in plain if type(item) is int]
    odd = any(isinstance(item, Odd) for item in value)
    if len(numbers) < len(value):
        return [], odd, "not-integer"
    return numbers, odd, "negative" if numbers and min(numbers) < 0 else ""


def _offset_aspect(offsets: list[int]) -> str:
    if len(offsets) != 2:
        return "not-pair"
    begin, end = offsets
    if begin > U64_MAX or end > U64_MAX:
        return "beyond-u64"
    return "reversed" if begin > end else ""


def _total(bits: int, shape: tuple[int, ...]) -> int | None:
    """Bits of a tensor; None when they do not fit 64 bits. A zero dimension makes it 0, wherever it stands."""
    if 0 in shape:
        return 0
    for dimension in shape:
        bits *= dimension
        if bits > U64_MAX:
            return None
    return bits


def _span(data: bytes, end: int, problem: Problem) -> tuple[int, int] | None:
    if problem.span is not None:
        return key_span(data, problem.span[0], end)
    if problem.at < 0:
        return None
    start, after = value_span(data, problem.at, end)
    if problem.field:
        return field_span(data, start, end, problem.field)
    return problem.at, after


def _lone(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _quote(text: str) -> str:
    """A string of the input for a message: ASCII, and cut in the middle where it is long. The ends tell tensors apart."""
    return ascii(text if len(text) <= 90 else f"{text[:43]}...{text[-44:]}")


def _kind(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | Odd):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) or value is Opaque.ARRAY else "an object"
