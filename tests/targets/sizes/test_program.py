"""Programs of target ``sizes``: their lengths, their caps, and the memory that stands for gigabytes."""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
from itertools import pairwise
from math import prod
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.programs.strategies import programs
from harness.targets.sizes import memory
from harness.targets.sizes.program import (
    CHARACTERS,
    DATA_CAP,
    DTYPES,
    HEADER_CAP,
    LARGE_BITS,
    NUMPY_RANK,
    PLACES,
    RESIDENT_CAP,
    TENSOR_BITS,
    VOCABULARY,
    Call,
    Content,
    decode,
    length,
    resident,
    seeds,
)

step, encode = VOCABULARY.step, VOCABULARY.encode


def content(*steps: tuple[Any, ...]) -> Content:
    return decode(encode([step(*one) for one in steps])).content


def test_lengths_lie_at_and_beside_every_power_of_two_page_and_block():
    reached = {length(bits, place) for bits in (*TENSOR_BITS, *LARGE_BITS) for place in range(len(PLACES))}
    for bits in range(4, 33):
        assert {(1 << bits) + near for near in (-1, 0, 1)} <= reached
        assert {
            near for near in (-4096, 4096, 65536) if (1 << bits) + near > 0 and (1 << bits) + near not in reached
        } == set()
    assert sum(size % 2 for size in reached) > len(reached) / 3
    assert min(reached) == 1


@settings(max_examples=25)
@given(programs(VOCABULARY))
def test_any_program_stays_below_its_caps_and_has_no_gaps(program: bytes) -> None:
    made, calls = decode(program)
    assert made.size <= DATA_CAP
    assert made.header <= HEADER_CAP
    assert len({tensor.name for tensor in made.tensors}) == len(made.tensors)
    for before, after in pairwise(made.tensors[:64]):
        assert (after.begin, after.place) == (before.begin + before.size, before.place + -(-before.size // 64) * 64)
    for tensor in made.tensors[:64]:
        assert prod(tensor.shape) * dict(DTYPES)[tensor.dtype] == tensor.size
    for call in calls:
        assert resident(call, made) <= RESIDENT_CAP
        assert call.framework != "numpy" or made.rank <= NUMPY_RANK


def test_each_shape_holds_its_length():
    shapes = {content(("tensor", 10, 0, form)).tensors[0].shape for form in range(28)}
    assert {(16384,), (1, 16384), (16384, 1), (2, 8192), (64, 256), (4, 64, 64)} <= shapes
    assert content(("tensor", 10, 1, 12)).tensors[0].shape == (16385,)  # of no even number of rows


def test_counts_ranks_texts_and_metadata_reach_65_536_and_more():
    assert len(content(("many", 16, 0)).tensors) == 1 << 16
    assert content(("rank", 16, 0, 1)).tensors[0].shape == (3, *(1,) * 65535)
    assert len(content(("name", 16, 1)).tensors[0].name) == 65537 + 3
    assert len(content(("entries", 16, 2)).metadata) == 65535
    assert [len(value) for value in content(("value", 16, 0)).metadata.values()] == [1 << 16]
    assert [len(key) for key in content(("value", 16, 0, 6)).metadata] == [(1 << 16) + 3]
    assert content(("pad", 20, 1)).pad == (1 << 20) + 1


def test_a_header_past_its_limit_is_left_out():
    names = content(("name", 24, 0), ("name", 24, 1, CHARACTERS.index("é")), ("name", 4, 0)).tensors
    assert [len(tensor.name) - 3 for tensor in names] == [1 << 24, 16]


@pytest.mark.parametrize("kind", ["name", "value"])
@pytest.mark.parametrize("character", range(len(CHARACTERS)))
def test_no_header_is_longer_than_its_limit_says(kind: str, character: int):
    made = content((kind, 24, 0, character))
    text = json.dumps({"__metadata__": made.metadata} | {tensor.name: {} for tensor in made.tensors})
    assert len(text) <= made.header <= HEADER_CAP


def test_the_largest_tensor_is_read_and_written_where_one_copy_fits():
    words = {
        call.word
        for number in range(VOCABULARY.number["safe_open"], len(VOCABULARY.kinds))
        for framework in (0, 1)
        for backend in (0, 1)
        for reading in range(7)
        for call in decode(bytes((VOCABULARY.number["large"], 5, 1, 0, number, framework, backend, reading))).calls
    }
    assert {"numpy.get_tensor.pread", "numpy.chunks.mmap", "torch.get_tensor.mmap", "torch.load_file.mmap"} <= words
    assert {"numpy.save_file", "torch.save_file", "serialize_file"} <= words
    assert not words & {"deserialize", "numpy.get_tensor.mmap", "numpy.save", "numpy.chunks.pread"}


def test_a_program_without_calls_deserializes():
    assert decode(b"").calls == (Call("deserialize"),)


def test_seeds_have_a_call_of_each_kind_and_a_step_of_each_but_large_ones():
    kinds = {VOCABULARY.kinds[one.kind].name for program in seeds().values() for one in VOCABULARY.decode(program)}
    assert kinds == VOCABULARY.number.keys() - {"large"}


@pytest.fixture
def holes(monkeypatch: pytest.MonkeyPatch) -> Content:
    """Content of 10 MiB whose memory has holes."""
    monkeypatch.setattr(memory, "DENSE", 1 << 20)
    return content(("tensor", 18, 1), ("tensor", 18, 2, 1), ("tensor", 17, 5, 2))


def test_a_block_that_is_misplaced_repeated_or_missing_shows(holes: Content):
    right = memory.memory(holes)
    for size in (1 << 20, 1 << 21):
        for at in range(0, len(right) - 2 * size, size):
            for wrong in (right[at + size : at + 2 * size], numpy.zeros(size, "u1")):
                value = right.copy()
                value[at : at + size] = wrong
                assert at <= memory.difference(value, right) < at + size


def test_dense_memory_has_no_two_equal_words_and_the_same_bytes_in_each_program():
    few, many = memory.memory(content(("tensor", 4, 0))), memory.memory(content(("tensor", 15, 0)))
    assert few.tobytes() == many[: len(few)].tobytes()
    words = many.view("<u8")
    assert len(numpy.unique(words)) == len(words)


def test_holes_and_pieces_are_the_memory(holes: Content):
    right = memory.memory(holes)
    for tensor in holes.tensors:
        rebuilt = numpy.zeros(tensor.size, "u1")
        whole = right[tensor.place : tensor.place + tensor.size]
        for first, last in memory.pieces(holes, tensor):
            rebuilt[first:last] = whole[first:last]
        assert memory.difference(rebuilt, whole) == -1


@pytest.mark.parametrize("bits", [8, 18])
def test_a_writer_that_writes_into_the_memory_of_its_caller_dies(bits: int, holes: Content):
    target = memory.memory(content(("tensor", bits, 0)))
    child = os.fork()
    if not child:
        faulthandler.disable()
        target.ctypes.data_as(ctypes.POINTER(ctypes.c_char))[0] = b"x"
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -11


@given(st.integers(1, 1 << 16), st.integers(0, 255))
def test_a_single_byte_that_differs_is_found(size: int, salt: int):
    wanted = memory.memory(content(("tensor", 12, 0)))[:size]
    value = wanted.copy()
    value[salt * size // 256] ^= 1
    assert memory.difference(value, wanted) == salt * size // 256
