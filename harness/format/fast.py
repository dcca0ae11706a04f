"""The quick way to "accepted": the C scanner of the json module, trusted with nothing but the plainest headers.

Whatever is not plainly sound here goes to the strict judge; a file is never refused on this path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from harness.format.dtypes import DTYPE_BITS
from harness.format.layout import check_layout
from harness.format.model import Header, Tensor
from harness.format.rules import U64_MAX

LARGEST = 1 << 20
"""Headers beyond this many bytes are left to the strict reader, whose memory is bounded."""

_new = tuple.__new__
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_MINUS = re.compile(r"[\[,:\s]-")


def read_plain(data: bytes, size: int) -> Header | None:
    """The header of a file that is accepted beyond doubt, or None. Never raises."""
    length = int.from_bytes(data[:8], "little")
    end = 8 + length
    if length > LARGEST or end > size or length < 2:
        return None
    try:
        text = data[8:end].decode()
        if text[0] != "{":
            return None
        top, stop = _scan(text, 0)
        if stop != len(text) and text[stop:].strip(" "):
            return None
        # json reads -0 as 0, and half a surrogate pair as it stands.
        if "-" in text and _MINUS.search(text):
            return None
        escaped = "\\" in text
        if escaped and ("\\ud" in text or "\\uD" in text):
            return None
        colons = 4 * len(top)
        metadata = None
        tensors: list[Tensor] = []
        reach = 0
        in_order = True
        for name, fields in top.items():
            if name == "__metadata__":
                if type(fields) is not dict:
                    return None
                metadata = fields
                for item in fields.values():
                    if type(item) is not str:
                        return None
                colons += len(fields) - 3
                continue
            if len(fields) != 3:
                return None
            dtype = fields["dtype"]
            shape = fields["shape"]
            begin, stop = fields["data_offsets"]
            bits = DTYPE_BITS[dtype]
            if type(begin) is not int or type(stop) is not int or type(shape) is not list or stop > U64_MAX:
                return None
            for dimension in shape:
                # The type comes first: a number times a list is a long list.
                if type(dimension) is not int:
                    return None
                bits *= dimension
                if bits > U64_MAX:
                    return None
            if bits != (stop - begin) << 3 or (not bits and max(shape) > U64_MAX):
                return None
            if begin != reach:
                in_order = False
            reach = stop
            tensors.append(_new(Tensor, (name, dtype, tuple(shape), begin, stop)))
        # json keeps the last of equal keys: as many colons as kept members is proof that there were none.
        if text.count(":") != colons and (escaped or text.count(":") != colons + _colons(top)):
            return None
    except (ValueError, TypeError, KeyError, AttributeError, StopIteration, RecursionError):
        return None
    if in_order:
        if reach != size - end:
            return None
    elif next(check_layout(tensors, size - end), None) is not None:
        return None
    return _new(Header, (length, metadata, tuple(tensors)))


def _colons(top: dict[str, dict[str, str]]) -> int:
    """Colons inside the strings of a header without escapes, where these are the names and the metadata."""
    metadata = top.get("__metadata__", {})
    texts = [*top, *metadata, *metadata.values()]
    return sum(text.count(":") for text in texts)
