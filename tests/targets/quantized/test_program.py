from __future__ import annotations

import ast
from math import prod

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.format.dtypes import DTYPE_BITS
from harness.format.judge import judge
from harness.programs import strategies
from harness.targets.quantized import script as quantized_source
from harness.targets.quantized.program import AWRY, VOCABULARY, Held, cut, decode, file, stored_shape

S = VOCABULARY.step


def held(*steps) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(one.name, one.dtype, one.shape) for one in decode(VOCABULARY.encode(steps)).tensors]


def test_an_fp8_weight_has_a_scale_for_every_block():
    assert held(S("fp8", 1, 6, 1)) == [  # 5 by 6, in blocks of 2 by 2
        ("layers.0.weight", "F8_E5M2", (5, 6)),
        ("layers.0.weight_scale_inv", "F32", (3, 3)),
    ]


def test_block_scales_are_powers_of_two_along_the_rows():
    assert held(S("blocks", 0, 1, 0)) == [
        ("layers.0.weight", "F4", (4, 16)),
        ("layers.0.weight_scale", "F8_E8M0", (4, 4)),
    ]


def test_gptq_packs_rows_and_awq_columns():
    assert held(S("gptq", 0, 3, 1)) == [  # 64 features in, 32 out, 4 bits
        ("layers.0.qweight", "I32", (8, 32)),
        ("layers.0.qzeros", "I32", (1, 4)),
        ("layers.0.scales", "F16", (1, 32)),
        ("layers.0.g_idx", "I32", (64,)),
    ]
    assert held(S("awq", 0, 3, 1)) == [
        ("layers.0.qweight", "I32", (64, 4)),
        ("layers.0.qzeros", "I32", (1, 4)),
        ("layers.0.scales", "F16", (1, 32)),
    ]


def test_groups_have_names_of_their_own():
    assert [name for name, *_ in held(S("fp8"), S("fp8"))] == [
        "layers.0.weight",
        "layers.0.weight_scale_inv",
        "layers.2.weight",
        "layers.2.weight_scale_inv",
    ]


@pytest.mark.parametrize(
    ("how", "valid"),
    [
        ("longer-shape", True),
        ("other-dtype", True),
        ("transposed", True),
        ("flattened", True),
        ("wider-dtype", False),
        ("one-byte-less", False),
        ("one-byte-more", False),
        ("odd", False),
    ],
)
def test_what_disagrees_with_its_group_is_valid_and_what_disagrees_with_its_bytes_is_not(how: str, valid: bool):
    program = decode(VOCABULARY.encode([S("blocks", 1, 1), S("awry", 0, AWRY.index(how))]))
    assert (program.valid, program.awry) == (valid, (how,))
    assert program.tensors[0] != decode(VOCABULARY.encode([S("blocks", 1, 1)])).tensors[0]


def test_numpy_is_lent_what_it_lacks_unless_it_lacks_nothing_or_the_program_says_otherwise():
    assert decode(VOCABULARY.encode([S("fp8")])).lend
    assert not decode(VOCABULARY.encode([S("gptq")])).lend
    assert not decode(VOCABULARY.encode([S("fp8"), S("plain-numpy")])).lend


@given(strategies.programs(VOCABULARY))
def test_a_file_is_valid_exactly_when_its_program_says_so(data: bytes):
    program = decode(data)
    judgement = judge(file(program.tensors))
    assert (judgement.verdict == "accept") == program.valid
    ast.parse(quantized_source.explain(program))
    ast.parse(quantized_source.script(program).text)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_program(data: bytes):
    assert 1 <= len(decode(data).tensors) <= 8


FOUR = Held("w", "F4", (2, 4), 4, 0)


@pytest.mark.parametrize(
    ("source", "shape", "taken"),
    [
        ("", (2, 4), slice(0, 4)),
        ("0:1", (1, 4), slice(0, 2)),
        ("1", (4,), slice(2, 4)),
        ("1:2, 2:4", (1, 2), slice(3, 4)),
        ("..., 0:2", (2, 2), slice(0, 4, 2)),
    ],
)
def test_a_part_of_four_bit_elements_is_counted_in_bits(source: str, shape: tuple[int, ...], taken: slice):
    assert cut(FOUR, source) == (shape, FOUR.content[taken])


def test_half_a_byte_is_no_part_and_neither_is_what_is_not_there():
    assert cut(FOUR, "0:1, 0:1") is None
    assert cut(FOUR, "0:1, 0:1, 0:1") is None
    assert cut(FOUR, "..., 0:1, 0:1, 0:1") is None
    assert cut(FOUR, "5") is None


def test_halves_of_two_bytes_are_put_together():
    # The low halves of the first and the third byte: numbers 0 and 4.
    low = [FOUR.content[at] & 15 for at in (0, 2)]
    assert cut(FOUR, ":, 0:1") == ((2, 1), bytes([low[0] | low[1] << 4]))


@given(
    st.sampled_from(sorted(DTYPE_BITS)),
    st.sampled_from([(8,), (4, 4), (2, 3, 4)]),
    st.integers(0, 3),
    st.integers(0, 4),
)
def test_parts_along_the_first_dimension_are_runs_of_bytes(dtype: str, shape: tuple[int, ...], start: int, more: int):
    size = DTYPE_BITS[dtype] * prod(shape) // 8
    whole = Held("w", dtype, shape, size, 3)
    row = DTYPE_BITS[dtype] * prod(shape[1:])
    stop = min(start + more, shape[0])
    part = cut(whole, f"{start}:{stop}")
    if start * row % 8 == 0 and stop * row % 8 == 0:
        assert part is not None
        assert part[1] == whole.content[start * row // 8 : max(stop, start) * row // 8]
        assert part[0] == numpy.empty(shape)[start:stop].shape


def test_four_bit_elements_stand_two_to_a_byte_along_the_last_dimension():
    assert stored_shape("F4", (2, 4)) == (2, 2)
    assert stored_shape("F4", (4, 1)) is None
    assert stored_shape("F4", ()) is None
    assert stored_shape("F8_E4M3", (4, 1)) == (4, 1)
