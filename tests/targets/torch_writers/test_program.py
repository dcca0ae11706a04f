from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given

from harness.programs import strategies
from harness.programs.arrays import SHAPES
from harness.programs.saving import NAMES
from harness.targets.torch_writers import script as torch_source
from harness.targets.torch_writers import tensors as torch_made
from harness.targets.torch_writers.program import CONTAINERS, MODELS, TWIN, VOCABULARY, Things, decode, whole
from harness.targets.torch_writers.tensors import DTYPES, LAYOUT_NUMBERS, LAYOUTS, ODD_DTYPES, VIEWS, TensorValue

S = VOCABULARY.step
L = LAYOUT_NUMBERS
V = {one[0]: number for number, one in enumerate(VIEWS)}
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


def things(*steps) -> Things:
    return decode(VOCABULARY.encode(steps)).things


def test_a_program_that_makes_nothing_writes_one_tensor():
    made = decode(b"")
    assert [item.name for item in made.things.items] == ["'a'"]
    assert decode(VOCABULARY.encode([S("load")])).calls[0].kind == "save"


def test_parts_of_one_memory_are_sound_where_they_have_no_byte_in_common():
    halves = S("tensor", 0, 3), S("view", 0, V["first-half"]), S("view", 0, V["second-half"])
    # The second half has the name of the whole.
    assert things(*halves, S("name")).sound
    assert things(*halves).odd == "shared"


def test_a_plain_dictionary_is_sound_and_what_cannot_be_written_is_not():
    assert things(S("tensor", 0, 3), S("tensor", 1, 1)).sound
    assert things(S("tensor", ODD_DTYPES)).odd == "dtype"
    assert things(S("value")).odd == "value"
    assert things(S("tensor", 0, 3, L["sparse"])).odd == "sparse"
    assert things(S("tensor", 0, 3, L["meta"])).odd == "meta"
    assert things(S("tensor"), S("holder", CONTAINERS.index("None"))).odd == "holder"
    assert things(S("tensor"), S("name", NAMES.index("1"))).odd == "name"
    assert things(S("tensor", DTYPES.index("float4_e2m1fn_x2"), 1)).odd == "pair"


def test_of_two_equal_names_the_last_counts():
    made = things(S("value"), S("name", 0), S("tensor", 0, 3), S("name", 0))
    assert made.odd == ""
    assert made.tensors["a"].shape == (2, 3)


def test_tensors_that_share_bytes_are_odd_and_halves_may_be_refused():
    twice = things(S("tensor", 0, 3), S("view"))
    assert twice.odd == "shared"
    assert twice.sound_state(contiguous=True)
    halves = things(S("tensor", 0, 3), S("view", 0, V["first-half"]), S("view", 1, V["second-half"]))
    first, second = halves.items[1].tensor, halves.items[2].tensor
    assert first is not None
    assert second is not None
    assert not first.meets(second)
    assert not whole([first, second], contiguous=True)
    assert not things(S("tensor", 0, 3), S("view", 0, V["none"])).sound_state(contiguous=True)


def test_a_pair_without_a_dimension_may_be_left_out_of_a_module_whose_other_tensor_has_it():
    pair = S("tensor", DTYPES.index("float4_e2m1fn_x2"), 1)
    for view in ("flat", "bytes"):
        tied = things(pair, S("view", 0, V[view]))
        assert (tied.odd, tied.odd_state) == ("pair", "")
        # It may be kept as well, and cannot be written then.
        assert not tied.sound_state(contiguous=True)
    for view in ("same", "alias", "none"):
        assert things(pair, S("view", 0, V[view])).odd_state == "pair"


def test_a_layout_that_is_not_contiguous_is_a_reason_to_refuse_it():
    turned = things(S("tensor", 0, 3, L["flipped"]))
    assert not turned.sound
    assert turned.sound_state(contiguous=True)
    assert not turned.sound_state(contiguous=False)
    assert not things(S("tensor", 0, 3, L["tail"])).sound_state(contiguous=True)


def test_a_conjugate_has_the_other_sign_in_its_imaginary_part():
    made = torch_made.make(DTYPES.index("complex64"), (1,), L["conj"], 0)
    plain = torch_made.make(DTYPES.index("complex64"), (1,), 0, 0)
    assert made.contiguous
    assert [one ^ other for one, other in zip(made.data, plain.data, strict=True)] == [0] * 7 + [0x80]


def test_models_differ_from_the_program_as_they_say():
    made = things(S("tensor", 0, 3), S("view"))
    names = {which: [key for key, _ in made.model(which)] for which in (*MODELS, TWIN)}
    assert names == {
        "same": ["a", "b"], "fewer": ["a"], "more": ["a", "b", "one.more", "two.more"], "untied": ["a", "b"], "longer": ["a", "b"],
        TWIN: ["a", "b", "!twin"],
    }  # fmt: skip
    assert made.model(TWIN)[-1][1].tensor is made.items[0].tensor
    first, second = (item.tensor for _, item in made.model("untied"))
    assert first is not None
    assert second is not None
    assert first.memory is not second.memory
    longer = made.model("longer")[0][1].tensor
    assert longer is not None
    assert longer.shape == (3, 3)


def everything() -> Iterable[tuple[str, TensorValue]]:
    for dtype, word in enumerate(DTYPES):
        for shape in SHAPES[::3]:
            yield f"{word} {shape}", torch_made.make(dtype, shape, 0, 1)
    for layout, laid in zip(LAYOUT_NUMBERS.values(), LAYOUTS, strict=True):
        for shape in SHAPES:
            yield f"{laid.word} {shape}", torch_made.make(0, shape, layout, 1)
            yield f"{laid.word} {shape} complex", torch_made.make(13, shape, layout, 1)
    for view, (word, _, _) in enumerate(VIEWS):
        for shape in SHAPES:
            yield f"{word} of {shape}", torch_made.view(torch_made.make(0, shape, 0, 1), view)


@needs_torch
@pytest.mark.filterwarnings("ignore:ComplexHalf support", "ignore:Sparse")
def test_torch_makes_what_the_program_says_of_it():
    """Dtype, shape, bytes, whether it is contiguous, and where it lies: every dtype, layout and view."""
    kit = importlib.import_module("harness.targets.torch_writers.kit")
    for said, made in everything():
        names = dict(vars(kit))
        source = made.source.format("m") or "m"
        tensor: Any = eval(source, names | {"m": eval(made.memory.source, names)})
        assert str(tensor.dtype) == f"torch.{made.dtype}", said
        assert tuple(tensor.shape) == made.shape, said
        if made.odd not in ("sparse", "meta"):
            assert kit.raw(tensor) == made.data, said
            assert tensor.is_contiguous() == made.contiguous, said
            start = tensor.data_ptr() - tensor.untyped_storage().data_ptr() if tensor.numel() else 0
            assert start == made.span[0], said
            assert tensor.untyped_storage().nbytes() == made.memory.elements.nbytes, said


@given(strategies.programs(VOCABULARY))
def test_every_program_is_python_and_says_what_it_holds(data: bytes):
    program = decode(data)
    ast.parse(torch_source.script(program).text)
    assert torch_source.explain(program)
    for made in program.things.tensors.values():
        assert 0 <= made.span[0] <= made.span[1] <= made.memory.elements.nbytes
    assert set(program.things.names) == {key for key, _ in program.things.model("same")}


def test_a_program_is_explained_as_python():
    steps = [S("tensor", 0, 3), S("form", 1), S("view"), S("entry"), S("save_model"), S("load_model", 3, 1)]
    assert torch_source.explain(decode(VOCABULARY.encode(steps))) == (
        "def tensors(zero=False):\n"
        "    m0 = memory('float32', (2, 3), 1, zero)\n"
        "    t0 = parameter(m0)\n"
        "    t1 = t0\n"
        "    return [('a', t0), ('b', t1)]\n"
        "\n"
        "metadata = {'format': 'pt'}\n"
        "save_model(module(tensors()), path, metadata, force_contiguous=True)\n"
        'load_model(module of untied tensors, path, strict=False, backend="mmap")\n'
    )
