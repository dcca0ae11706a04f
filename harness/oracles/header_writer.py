"""Other spellings of the same header: the metamorphic oracle varies them while the meaning stays.

The spelling is ours from the first brace to the last, so that exactly one thing differs between two variants.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring, encode_basestring_ascii

from harness.format.header import Tensor

FIELDS = ("dtype", "shape", "data_offsets")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WHITE = (" ", "\t", "\n", "\r", "  ", " \n\t")


def plain(text: str) -> str:
    """A JSON string as most writers have it; a lone surrogate, which UTF-8 cannot carry, keeps its escape."""
    if text.isascii() or not _SURROGATE.search(text):
        return encode_basestring(text)
    return encode_basestring_ascii(text)


def escaped(rng: random.Random) -> Callable[[str], str]:
    """A spelling of strings in which about half of the characters, and at least one, are escaped by their code.

    Characters beyond the basic plane become surrogate pairs; hexadecimal digits come in both cases.
    """

    def write_escaped(text: str) -> str:
        sure = rng.randrange(len(text)) if text else 0
        parts = [
            _escape(char, rng) if index == sure or rng.getrandbits(1) else plain(char)[1:-1]
            for index, char in enumerate(text)
        ]
        return '"' + "".join(parts) + '"'

    return write_escaped


def _escape(char: str, rng: random.Random) -> str:
    if char == "/" and rng.random() < 0.5:
        return "\\/"
    code = ord(char)
    units = (code,) if code < 0x10000 else (0xD800 + (code - 0x10000 >> 10), 0xDC00 + (code & 0x3FF))
    return "".join(f"\\u{unit:04{rng.choice('xX')}}" for unit in units)


def no_space() -> str:
    """Nothing between two tokens."""
    return ""


def white_space(rng: random.Random) -> Callable[[], str]:
    """Now and then one of JSON's four kinds of white space, or a few."""

    def space() -> str:
        return _WHITE[min(pick, 5)] if (pick := rng.getrandbits(4)) < 8 else ""

    return space


@dataclass(slots=True)
class Spelling:
    """How a header is written. The defaults are the plain spelling: compact, tensors as given, metadata first.

    ``metadata_at`` is the place of ``__metadata__`` among the members. ``name``, ``word`` (the keys inside a tensor), ``dtype``,
    ``metadata_word`` and ``entry`` (keys and values of the metadata) spell strings; ``space`` fills the gaps between tokens
    inside the outer braces.
    """

    fields: tuple[str, ...] = FIELDS
    metadata_at: int = 0
    pad: int = 0
    name: Callable[[str], str] = plain
    word: Callable[[str], str] = plain
    dtype: Callable[[str], str] = plain
    metadata_word: Callable[[str], str] = plain
    entry: Callable[[str], str] = plain
    space: Callable[[], str] = no_space


def write(tensors: Sequence[Tensor], metadata: dict[str, str] | None, payload: bytes, how: Spelling) -> bytes:
    """A file of these tensors in this order, over ``payload`` as its buffer."""
    s = how.space
    members = [f"{how.name(tensor.name)}{s()}:{s()}{_tensor(tensor, how)}" for tensor in tensors]
    if metadata is not None:
        entries = [f"{s()}{how.entry(key)}{s()}:{s()}{how.entry(value)}{s()}" for key, value in metadata.items()]
        text = f"{how.metadata_word('__metadata__')}{s()}:{s()}{{{','.join(entries) or s()}}}"
        members.insert(min(how.metadata_at, len(members)), text)
    header = "{" + (",".join(f"{s()}{member}{s()}" for member in members) or s()) + "}"
    raw = header.encode() + b" " * how.pad
    return len(raw).to_bytes(8, "little") + raw + payload


def _tensor(tensor: Tensor, how: Spelling) -> str:
    s = how.space

    def numbers(values: Sequence[int]) -> str:
        return "[" + (",".join(f"{s()}{value}{s()}" for value in values) or s()) + "]"

    values = {
        "dtype": how.dtype(tensor.dtype),
        "shape": numbers(tensor.shape),
        "data_offsets": numbers((tensor.begin, tensor.end)),
    }
    return "{" + ",".join(f"{s()}{how.word(key)}{s()}:{s()}{values[key]}{s()}" for key in how.fields) + "}"
