"""What is unusual about a file that the format allows: short tags for the day a parser refuses it."""

from __future__ import annotations

import re

from harness.format.dtypes import DTYPE_BITS
from harness.format.header import METADATA, Header, Tensor
from harness.format.jsontext import Reader
from harness.format.jsontoken import STRING
from harness.format.judgement import Judgement
from harness.format.rules import U64_MAX

FEATURES: dict[str, str] = {
    "no-tensors": "the header names no tensor",
    "scalar": "a tensor of rank 0",
    "zero-dim": "a tensor with a dimension of 0",
    "zero-dim-with-huge-product": "a zero dimension beside others whose product does not fit 64 bits",
    "rank>32": "a tensor of more than 32 dimensions",
    "sub-byte": "a tensor of a dtype smaller than a byte",
    "empty-name": "a tensor named by the empty string",
    "nul-in-name": "a name with U+0000",
    "control-in-name": "a name with another control character",
    "non-ascii-name": "a name beyond ASCII",
    "escape-in-key": "a key spelled with an escape",
    "escape-in-value": "a string value spelled with an escape",
    "whitespace-inside": "white space between the tokens of the JSON",
    "padded": "spaces after the JSON",
    "empty-metadata": "metadata without a member",
    "metadata-not-first": "metadata after a tensor",
    "offsets-out-of-order": "tensors lie in the buffer in another order than in the header",
    "misaligned": "a tensor that does not begin at a multiple of its element's size in the file",
    "large-header": "a header beyond 1 MiB",
}
"""Tag to what it means."""

_OUTSIDE_STRINGS = re.compile(rb"[ \t\n\r]")
_COLON = re.compile(rb"[ \t\n\r]*+:")


def features(data: bytes, judgement: Judgement) -> tuple[str, ...]:
    """Tags of a file that the judge accepted, in the order of ``FEATURES``; none for any other.

    Takes another pass over the header: not for the hot path.
    """
    header = judgement.header
    if judgement.verdict != "accept" or header is None:
        return ()
    end = 8 + header.size
    found = _of_header(header) | _of_text(data[8:end])
    if header.metadata is not None and next(Reader(data, 8, end).members())[0] != METADATA:
        found.add("metadata-not-first")
    for tensor in header.tensors:
        found |= _of_tensor(tensor, end)
    return tuple(tag for tag in FEATURES if tag in found)


def _of_header(header: Header) -> set[str]:
    found = set()
    if not header.tensors:
        found.add("no-tensors")
    if header.metadata == {}:
        found.add("empty-metadata")
    if header.size > 1 << 20:
        found.add("large-header")
    places = [(tensor.begin, tensor.end) for tensor in header.tensors]
    if places != sorted(places):
        found.add("offsets-out-of-order")
    return found


def _of_text(text: bytes) -> set[str]:
    found = set()
    body = text.rstrip(b" ")
    if len(body) < len(text):
        found.add("padded")
    if _OUTSIDE_STRINGS.search(STRING.sub(b"", body)):
        found.add("whitespace-inside")
    for match in STRING.finditer(body):
        if b"\\" in match[0]:
            found.add("escape-in-value" if _COLON.match(body, match.end()) is None else "escape-in-key")
    return found


def _of_tensor(tensor: Tensor, start: int) -> set[str]:
    found = set()
    name, shape, bits = tensor.name, tensor.shape, DTYPE_BITS[tensor.dtype]
    if not shape:
        found.add("scalar")
    if len(shape) > 32:
        found.add("rank>32")
    if 0 in shape:
        found.add("zero-dim")
        product = bits
        for dimension in shape:
            product *= dimension or 1
            if product > U64_MAX:
                found.add("zero-dim-with-huge-product")
                break
    if bits < 8:
        found.add("sub-byte")
    elif tensor.end > tensor.begin and (start + tensor.begin) * 8 % bits:
        found.add("misaligned")
    if not name:
        found.add("empty-name")
    if "\0" in name:
        found.add("nul-in-name")
    if any("\0" < character < " " or character == "\x7f" for character in name):
        found.add("control-in-name")
    if not name.isascii():
        found.add("non-ascii-name")
    return found
