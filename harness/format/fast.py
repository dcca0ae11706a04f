"""The fast judge: uses the C scanner of the json module, for plain headers only.

It names the broken rule and aspect; the strict judge explains them on demand. The strict judge also takes text that is no
JSON, numbers in odd spellings, and large headers.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from harness.format.dtypes import DTYPE_BITS
from harness.format.header import METADATA, Header, Tensor
from harness.format.judgement import SOUND, Explanation, Judgement
from harness.format.layout import check_layout
from harness.format.plain import (
    CLEAN,
    Pairs,
    rank_of_metadata,
    rank_of_names,
    rank_of_nested,
    rank_of_pairs,
    read_tensor,
)
from harness.format.rules import ORDER, U64_MAX
from harness.format.strict import judge_strictly

LARGEST = 1 << 20
"""Largest header in bytes; the strict judge, whose memory is bounded, takes larger ones."""


def _forbid(constant: str) -> NoReturn:
    raise ValueError(constant)


_new = tuple.__new__
_unpack_length = struct.Struct("<Q").unpack_from
# Objects as tuples of pairs: cheaper than dicts, and equal keys stay. NaN and its like are no JSON.
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=_forbid)
_scan: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined]
_MINUS = re.compile(r"[\[,:\s]-")
# json reads it as 0.
_MINUS_ZERO = re.compile(r"[\[,:\s]-0(?![0-9.eE])")
_PAIRS = list(ORDER)
_FIRST_OPEN = min(rank for (rule, _), rank in ORDER.items() if rule.startswith("unspecified."))


def judge_plainly(data: bytes, size: int) -> Judgement | None:
    """The judgement of a file of ``size`` bytes, or None for a case of the strict judge. Never raises.

    ``data`` holds at least length prefix and header.
    """
    if len(data) < 10:
        return None
    length: int = _unpack_length(data)[0]
    end = 8 + length
    if length > LARGEST or end > size or length < 2:
        return None
    try:
        text = data[8:end].decode()
        if text[0] != "{":
            return None
        if text[-1] != "}":
            text = text.rstrip(" ")
            if text[-1] != "}":
                return None
        top, stop = _scan(text, 0)
        if stop != len(text):
            return None
        signed = "-" in text and _MINUS.search(text) is not None
        if signed and _MINUS_ZERO.search(text):
            return None
        rank, header, in_order = _read(top, length, size - end, signed)
        if rank >= _FIRST_OPEN and not in_order:
            for misplaced in check_layout(list(header.tensors), size - end):
                rank = min(rank, ORDER[misplaced.rule, misplaced.aspect])
        if rank >= _FIRST_OPEN and "\\" in text and ("\\ud" in text or "\\uD" in text):
            rank = min(rank, rank_of_pairs(top))
        if rank == CLEAN:
            return _new(Judgement, ("accept", "", "", header, SOUND))
        # More braces than those of the header and its members: nested objects, which are not checked yet.
        if text.count("{") != 1 + sum(type(value) is tuple for _, value in top):
            rank = min(rank, rank_of_nested(top))
    except (ValueError, StopIteration, RecursionError):
        return None
    rule, aspect = _PAIRS[rank]
    reason = partial(_explain, data, size)
    if rank < _FIRST_OPEN:
        return _new(Judgement, ("reject", rule, aspect, None, reason))
    # A dimension beyond 64 bits has no meaning.
    readable = all(dimension <= U64_MAX for tensor in header.tensors for dimension in tensor.shape)
    return _new(Judgement, ("unspecified", rule, aspect, header if readable else None, reason))


def _read(top: Pairs, length: int, buffer: int, signed: bool) -> tuple[int, Header, bool]:
    """The worst rank of the members, the header without faulty members, and whether tensors fill the buffer in order.

    ``signed``: the text may hold negative numbers.
    """
    metadata = None
    tensors: list[Tensor] = []
    reach = 0
    in_order = True
    rank = rank_of_names(top) if len(top) > 1 and len(dict(top)) < len(top) else CLEAN
    for name, value in top if rank == CLEAN else ():
        if name == METADATA:
            rank = min(rank, rank_of_metadata(value))
            metadata = dict(value) if type(value) is tuple else None
            continue
        # A usual, sound tensor; ``read_tensor`` takes all others.
        try:
            (first, dtype), (second, shape), (third, offsets) = value
            if first != "dtype" or second != "shape" or third != "data_offsets":
                # Another order. With a repeated key, one of the three is missing.
                fields = dict(value)
                dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
            begin, stop = offsets
            if (
                type(value) is tuple
                and type(shape) is list
                and type(begin) is int
                and type(stop) is int
                and stop <= U64_MAX
                and not signed
            ):
                bits = DTYPE_BITS[dtype]
                for dimension in shape:
                    # The type comes first: a number times a list is a long list.
                    if type(dimension) is not int:
                        break
                    bits *= dimension
                    if bits > U64_MAX:
                        break
                else:
                    if bits == (stop - begin) << 3 and (bits or max(shape) <= U64_MAX):
                        if begin != reach:
                            in_order = False
                        reach = stop
                        tensors.append(_new(Tensor, (name, dtype, tuple(shape), begin, stop)))
                        continue
        except (ValueError, TypeError, KeyError):
            pass
        found, tensor = read_tensor(name, value)
        rank = min(rank, found)
        if tensor is not None:
            in_order = in_order and tensor.begin == reach
            reach = tensor.end
            tensors.append(tensor)
    return rank, _new(Header, (length, metadata, tuple(tensors))), in_order and reach == buffer


def _explain(data: bytes, size: int) -> Explanation:
    return judge_strictly(data, size).explain()
