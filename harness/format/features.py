"""Tags of unusual properties of a valid file, for findings in which a parser refuses it."""

from __future__ import annotations

import re

from harness.format.dtypes import DTYPE_BITS
from harness.format.header import METADATA, Tensor
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
"""Tag to meaning."""

_OUTSIDE_STRINGS = re.compile(rb"[ \t\n\r]")
_COLON = re.compile(rb"[ \t\n\r]*+:")


def features(data: bytes, judgement: Judgement) -> tuple[str, ...]:
    """Tags of an accepted file, in the order of ``FEATURES``. Takes another pass over the header."""
    header = judgement.header
    if judgement.verdict != "accept" or header is None:
        return ()
    end = 8 + header.size
    first = next(Reader(data, 8, end).members())[0] if header.metadata is not None else METADATA
    places = [(tensor.begin, tensor.end) for tensor in header.tensors]
    found = _of_text(data[8:end]) | {
        "no-tensors": not header.tensors,
        "empty-metadata": header.metadata == {},
        "large-header": header.size > 1 << 20,
        "offsets-out-of-order": places != sorted(places),
        "metadata-not-first": first != METADATA,
    }
    of_tensors = {tag for tensor in header.tensors for tag, has in _of_tensor(tensor, end).items() if has}
    return tuple(tag for tag in FEATURES if found.get(tag) or tag in of_tensors)


def _of_text(text: bytes) -> dict[str, bool]:
    body = text.rstrip(b" ")
    escaped = [match.end() for match in STRING.finditer(body) if b"\\" in match[0]]
    keys = sum(_COLON.match(body, end) is not None for end in escaped)
    return {
        "padded": len(body) < len(text),
        "whitespace-inside": _OUTSIDE_STRINGS.search(STRING.sub(b"", body)) is not None,
        "escape-in-key": keys > 0,
        "escape-in-value": keys < len(escaped),
    }


def _of_tensor(tensor: Tensor, start: int) -> dict[str, bool]:
    name, shape, bits = tensor.name, tensor.shape, DTYPE_BITS[tensor.dtype]
    return {
        "scalar": not shape,
        "rank>32": len(shape) > 32,
        "zero-dim": 0 in shape,
        "zero-dim-with-huge-product": 0 in shape and _beyond_u64(bits, shape),
        "sub-byte": bits < 8,
        "misaligned": bits >= 8 and tensor.end > tensor.begin and (start + tensor.begin) * 8 % bits > 0,
        "empty-name": not name,
        "nul-in-name": "\0" in name,
        "control-in-name": any("\0" < character < " " or character == "\x7f" for character in name),
        "non-ascii-name": not name.isascii(),
    }


def _beyond_u64(product: int, shape: tuple[int, ...]) -> bool:
    """Whether ``product`` times the dimensions other than 0 exceeds 64 bits."""
    for dimension in shape:
        product *= dimension or 1
        if product > U64_MAX:
            return True
    return False
