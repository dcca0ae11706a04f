"""The file that a program makes deserves what its maker says. The judge, who knows nothing of programs, agrees."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.format.judge import judge
from harness.targets.huge.layout import HEADER_LIMIT, Layout, build, pattern, windows, write
from harness.targets.huge.program import KINDS, REPEATED, Step, decode, seeds

SMALL = 1 << 18


def head_of(layout: Layout, extra: int = 300_000) -> bytes:
    """The length prefix, what it says is the header, and some of the buffer, as they are in the file."""
    announced = layout.prefix if layout.prefix <= HEADER_LIMIT else 0
    descriptor = os.memfd_create("layout")
    try:
        write(layout, descriptor)
        assert os.fstat(descriptor).st_size == layout.size
        return os.pread(descriptor, 8 + max(layout.header_size + extra, announced), 0)
    finally:
        os.close(descriptor)


amounts = st.one_of(st.integers(0, 40), st.integers(0, 2_000), st.integers(0, 2**33), st.integers(0, 2**64 - 1))
steps = st.builds(
    lambda kind, amount, variant: Step(kind, min(amount if kind not in REPEATED else amount % 3_000, KINDS[kind].cap), variant),
    st.sampled_from(list(KINDS)),
    amounts,
    st.integers(0, 255),
)  # fmt: skip


@settings(max_examples=400)
@example([Step("big", 300_001, 0), Step("prefix", 300_001, 0)])
@given(st.lists(steps, max_size=6))
def test_the_judge_agrees_with_the_maker(program: list[Step]):
    layout = build(tuple(program))
    if layout.header_size > SMALL:
        return
    judgement = judge(head_of(layout), layout.size)
    assert judgement.verdict == ("reject" if layout.rule else "accept"), (layout.rule, layout.cause, judgement.detail)
    if judgement.header is None or layout.rule or layout.prefix != layout.header_size:
        return
    header = judgement.header
    assert [tensor.name for tensor in header.tensors] == layout.names
    assert (header.size, header.metadata) == (layout.header_size, layout.metadata)
    by_name = {tensor.name: tensor for tensor in header.tensors}
    assert {tensor.name for tensor in header.tensors if tensor.begin == tensor.end} == layout.empty
    for row in layout.rows:
        for place, name in enumerate(row.names):
            begin = row.begin + place * row.size
            assert by_name[name] == (name, row.dtype, row.shape, begin, begin + row.size)
    assert [name for row in layout.rows for name in row.names] == layout.names


@pytest.mark.parametrize("name", sorted(seeds()))
def test_every_seed_is_judged_alike(name: str):
    layout = build(decode(seeds()[name]))
    judgement = judge(head_of(layout), layout.size)
    assert (judgement.verdict == "reject") == bool(layout.rule)


def _rules() -> Iterator[tuple[tuple[Step, ...], str]]:
    one = Step("tensors", 1)
    yield (one,), ""
    yield (one, Step("pad-to", 100_000_000)), ""
    yield (one, Step("pad-to", 100_000_001)), "framing.header-limit"
    yield (Step("prefix-is", 2**63),), "framing.header-limit"
    yield (one, Step("prefix-is", 100_000_000)), "framing.header-truncated"
    yield (Step("cut", 7),), "framing.length"
    yield (Step("prefix-is", 0),), "header.first-byte"
    yield (one, Step("pad", 1, 1)), "header.padding"
    yield (one, Step("pad", 1, 0)), ""
    yield (one, Step("prefix", 1, 1)), "header.json"
    yield (one, Step("pad", 2), Step("prefix", 1, 1), Step("buffer", 1, 1)), ""  # a space of padding becomes the data
    yield (one, Step("pad", 2), Step("prefix", 1, 1)), "layout.trailing"
    yield (Step("tensors", 2), Step("prefix", 1)), "header.padding"
    yield (Step("duplicates", 2),), "header.duplicate-key"
    yield (Step("duplicates", 1),), ""
    yield (Step("digits", 30),), "tensor.size"
    yield (Step("depth", 10_000, 1),), "metadata.strings"
    yield (Step("string", 3, 2),), "header.utf8"
    yield (Step("big", 2**40), Step("buffer", 1)), "layout.trailing"
    yield (Step("big", 2**40), Step("buffer", 1, 1)), "layout.truncated"
    yield (Step("big", 2**40), Step("buffer", 9), Step("cut", 2**41)), "layout.trailing"


@pytest.mark.parametrize(("program", "rule"), list(_rules()))
def test_what_breaks_which_rule(program: tuple[Step, ...], rule: str):
    layout = build(program)
    assert layout.rule == rule
    assert bool(layout.cause) == bool(rule)


def test_a_header_never_grows_past_its_cap():
    layout = build(
        (Step("name", 100_000_000), Step("name", 100_000_000), Step("tensors", 300_000), Step("pad", 100_000_000))
    )
    assert layout.header_size <= 101_000_000
    assert layout.repeated == "name"
    assert len(layout.names) == 1


def test_small_tensors_hold_their_pattern_and_large_ones_have_windows_of_it():
    layout = build((Step("tensors", 5_000, 3), Step("big", 1 << 20), Step("tensors", 5_000, 2)))
    data = head_of(layout, layout.data_size)[8 + layout.header_size :]
    first, big, last = layout.rows
    for row in (first, last):
        end = row.begin + row.size * len(row.names)
        assert data[row.begin : end] == pattern(row.begin, end)
    content = data[big.begin : big.begin + big.size]
    rebuilt = bytearray(big.size)
    for begin, end in windows(big.size):
        rebuilt[begin:end] = pattern(big.begin + begin, big.begin + end)
    assert content == rebuilt
    assert bytes(64) in content


@pytest.mark.parametrize("size", [0, 1, 4_096, 4_097, 10_000, 1 << 20, (1 << 33) + 1])
def test_windows_are_in_order_and_cover_both_ends_and_powers_of_two(size: int):
    found = windows(size)
    assert all(before[1] < after[0] for before, after in pairwise(found))
    assert (found[0][0], found[-1][1]) == (0, size)
    for bits in range(12, size.bit_length()):
        assert any(first < 1 << bits < last or 1 << bits == size for first, last in found)
    assert sum(last - first for first, last in found) <= max(4_096, 4_096 * 100)


def test_the_pattern_depends_on_the_place():
    whole = pattern(0, 1_000)
    assert all(pattern(first, first + 300) == whole[first : first + 300] for first in range(700))
    assert not any(one == other for one, other in itertools.pairwise(whole))
    assert b" " not in whole
    # No power of two away it is the same.
    assert not [power for power in range(6, 63) if pattern(1 << power, (1 << power) + 8) == pattern(0, 8)]


def test_terabytes_take_no_room():
    descriptor = os.memfd_create("sparse")
    try:
        write(build((Step("tensors", 2), Step("big", 1 << 40), Step("tensors", 2))), descriptor)
        status = os.fstat(descriptor)
        assert status.st_size > 1 << 40
        assert status.st_blocks * 512 < 1 << 20
    finally:
        os.close(descriptor)
