from __future__ import annotations

import ast
import contextlib
from types import ModuleType

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.mutate.conventions import CONVENTIONS
from harness.mutate.resemblance import resembling
from harness.programs import at_guard, scripts, strategies
from harness.programs.arrays import SHAPES, WRITER_DTYPES
from harness.programs.saving import METADATA, NAMES, ODD_METADATA, ODD_NAMES
from harness.targets.writers import array_layouts, array_values, specs
from harness.targets.writers import program as writers
from harness.targets.writers import script as writer_sources
from harness.targets.writers.program import VOCABULARY, Lazy, decode
from tests.triage import reproducing

S = VOCABULARY.step


def program(*steps):
    return decode(VOCABULARY.encode(steps))


def evaluated(source: str):
    return eval(source, dict(array_layouts.NAMES))


@given(st.binary(max_size=VOCABULARY.max_len + 8))
def test_any_bytes_are_a_program_and_python(data: bytes):
    decoded = decode(data)
    assert len(decoded.calls) <= VOCABULARY.max_steps + 1
    assert not decoded.calls or decoded.calls[0].kind in writers.WRITES
    ast.parse(writer_sources.explain(decoded))
    ast.parse(writer_sources.script(decoded).text)


def test_nothing_given_is_one_plain_array():
    decoded = decode(b"")
    assert [(name, one.source) for name, one in decoded.things.arrays] == [
        ("'a'", "numpy.arange(1, 5).astype('float32').reshape(4)")
    ]
    assert decoded.things.metadata.value is None
    assert program(S("nothing"), S("save")).things.named_arrays == {}


def test_names_and_types_belong_to_the_tensor_before():
    decoded = program(S("name", 3), S("tensor"), S("type", 1), S("name", 6), S("tensor", 1), S("save"))
    first, second = decoded.things.arrays
    assert (first[0], first[1].source[:4]) == ("'é'", "own(")
    assert second[0] == "'b'"


def test_of_two_equal_names_the_last_counts():
    decoded = program(S("tensor"), S("tensor", 1), S("name", 0), S("save"))
    assert [dtype for dtype, *_ in decoded.things.array_content.tensors.values()] == ["U8"]


def test_a_call_that_reads_comes_after_one_that_writes():
    assert [call.kind for call in program(S("load")).calls] == ["save", "load"]
    assert [(call.kind, call.arrays) for call in program(S("serialize"), S("load")).calls] == [
        ("serialize", False),
        ("load", False),
    ]


def test_files_are_few():
    steps = [S("save_file"), S("serialize_file"), S("load_file"), S("safe_open"), S("load_file"), S("save")]
    assert [call.kind for call in program(*steps).calls] == ["save_file", "load_file", "safe_open", "save"]


@pytest.mark.parametrize("dtype", range(array_values.ODD_DTYPES), ids=array_values.DTYPES[: array_values.ODD_DTYPES])
def test_the_source_of_an_array_makes_that_array_in_every_layout(dtype: int):
    for layout in range(len(array_layouts.LAYOUTS)):
        for shape in range(len(SHAPES)):
            one = array_values.make(dtype, shape, layout, 0, 1)
            again = evaluated(one.source)
            assert (again.dtype, again.shape, again.strides) == (one.value.dtype, one.value.shape, one.value.strides)
            assert array_values.little(again) == array_values.little(one.value) == one.entry[2]


def test_the_source_of_a_value_makes_one_of_that_type():
    for kind in range(len(array_layouts.TYPES)):
        one = array_values.make(0, 3, 0, kind, 0)
        assert type(evaluated(one.source)) is type(one.value)
        scalar = isinstance(one.value, numpy.generic)
        assert (one.odd == "value") == (kind >= array_layouts.ARRAYS and not scalar)
        assert one.entry[0] != "" or not scalar


def test_layouts_keep_the_values_and_only_some_the_order_in_memory():
    for number, layout in enumerate(array_layouts.LAYOUTS):
        one = array_values.make(4, 17, number, 0, 0)
        assert one.value.flags.c_contiguous == (number < array_layouts.DENSE)
        assert (one.entry[3] == "plain") == one.sound == (number < array_layouts.DENSE)
        if layout != "broadcast":
            assert one.entry[2] == array_values.make(4, 17, 0, 0, 0).entry[2]


@pytest.mark.parametrize("layout", array_layouts.LAYOUTS[1:])
def test_a_writer_that_ignores_strides_reads_memory_of_ours_in_a_normal_run(layout: str):
    """From the first element on, ``nbytes`` bytes: else a campaign would die of what it is looking for."""
    for dtype in ("'int32'", "'>f8'", "'uint8'"):
        for number, shape in enumerate(SHAPES):
            if shape == () and layout in ("strided", "cropped", "backwards", "broadcast", "part", "transposed"):
                continue  # there is no such view, and programs make it plain
            numbers = array_values.DTYPES.index(dtype), number, array_layouts.LAYOUTS.index(layout)
            array = array_values.make(*numbers, 0, 0).value
            assert array.shape == shape
            first, last = numpy.lib.array_utils.byte_bounds(_owner(array))
            address = array.__array_interface__["data"][0]
            assert array.nbytes == 0 or (first <= address and address + array.nbytes <= last)


@pytest.mark.parametrize("layout", ["backwards", "broadcast"])
def test_a_base_is_no_longer_than_its_array(layout: str):
    array = getattr(array_layouts, layout)(numpy.ones((4, 3), "int32"))
    assert numpy.lib.array_utils.byte_bounds(_owner(array)) == numpy.lib.array_utils.byte_bounds(array)
    room = numpy.empty(numpy.ptp(at_guard.extent(array)), "uint8")
    assert numpy.array_equal(at_guard.moved(array, room), array)


def _owner(array):
    while isinstance(array.base, numpy.ndarray):
        array = array.base
    return array


def test_content_is_little_endian_and_what_the_dtypes_of_a_file_are_called():
    assert array_values.make(array_values.DTYPES.index("'>f4'"), 2, 0, 0, 0).entry == (
        "F32",
        (1,),
        b"\0\0\x80?",
        "plain",
    )
    assert array_values.make(0, 2, 0, 2, 0).entry[2] == b"\0\0\x80?"  # masked: the data, not what fills them
    odd = {
        array_values.make(number, 3, 0, 0, 0).odd
        for number in range(array_values.ODD_DTYPES, len(array_values.DTYPES) - 11)
    }
    assert odd == {f"dtype/{word}" for word in ("complex", "extended", "time", "text", "raw", "structured", "object")}


@pytest.mark.parametrize("fault", range(len(specs.FAULTS)), ids=[name or "none" for name in specs.FAULTS])
def test_specs_speak_of_memory_of_their_own_wherever_a_writer_may_look(fault: int):
    for dtype in range(len(specs.DTYPES)):
        for shape in range(len(SHAPES)):
            one = specs.spec(dtype, shape, fault, 0)
            if one.odd and fault:
                continue  # refused before it looks
            length, address = one.arguments["data_len"], one.arguments["data_ptr"]
            assert length == len(one.entry[2]) <= one.memory.nbytes
            assert address == one.memory.ctypes.data or length == 0
            assert one.memory.tobytes()[:length] == one.entry[2]


def test_dtypes_of_specs_are_all_that_the_writer_takes():
    assert sorted(specs.DTYPES) == sorted(WRITER_DTYPES)


def test_f4_is_given_in_bytes_and_written_in_elements():
    number = specs.DTYPES.index("F4")
    assert specs.spec(number, 3, 0, 0).entry[:2] == ("F4", (2, 6))
    assert specs.spec(number, 1, 0, 0).odd == "spec/half-byte"


def test_what_no_file_can_hold_is_said():
    assert program(S("tensor"), S("name", NAMES.index("'__metadata__'"))).things.array_content.fair == ()
    for number in range(ODD_NAMES, len(NAMES)):
        content = program(S("tensor"), S("name", number)).things.array_content
        assert content.odd.startswith("name")
        assert not content.sound
    for number in range(ODD_METADATA, len(METADATA)):
        content = program(S("metadata", number)).things.array_content
        assert (content.odd, content.sound, TypeError in content.fair) == ("metadata", False, True)


@given(strategies.programs(VOCABULARY))
def test_contents_are_what_numpy_says_of_the_arrays(data: bytes):
    things = decode(data).things
    for name, (dtype, shape, raw, _) in things.array_content.tensors.items():
        value = things.named_arrays[name]
        if dtype:
            assert raw == array_values.little(value)
            assert shape == value.shape
            assert dtype == array_values.format_dtype(value.dtype)


@given(data=strategies.programs(VOCABULARY, 5))
def test_the_python_of_a_program_runs(safetensors: ModuleType, data: bytes):
    """In a reproducer, call by call; a call may fail as the writer says."""
    decoded = decode(data)
    if any(spec.arguments["data_ptr"] == 0 for _, spec in decoded.things.specs):
        return
    made = writer_sources.script(decoded)
    names = {**vars(reproducing.kit()), "safetensors": safetensors, "safe_open": safetensors.safe_open}
    exec(
        "\n".join(line for line in scripts.imports(made.text) if "safetensors" not in line and "_kit" not in line),
        names,
    )
    refused = safetensors.SafetensorError
    with contextlib.suppress(LookupError, TypeError, ValueError, OverflowError, AttributeError, OSError, refused):
        exec(compile(made.text, "reproduce.py", "exec"), names)


class Counted:
    asked = 0

    @Lazy
    def value(self) -> int:
        """How often it was worked out."""
        self.asked += 1
        if self.asked == 1:
            raise ValueError("not yet")
        return self.asked


def test_a_lazy_value_is_worked_out_once_for_each_object_and_again_after_an_error():
    one, other = Counted(), Counted()
    for each in (one, other):
        with pytest.raises(ValueError, match="not yet"):
            _ = each.value
        assert (each.value, each.value, each.asked) == (2, 2, 2)
    assert Counted.__dict__["value"].__doc__ == "How often it was worked out."


def test_names_resemble_earlier_names_and_keys_the_names_of_tensors():
    steps = [S("tensor"), S("name", 3), S("tensor"), S("alike", 1, 0), S("alike", 0, 0, 1), S("save")]
    content = program(*steps).things.array_content
    assert list(content.tensors) == ["weight", resembling("weight")[1]]
    assert content.sound
    specs = program(*[S("spec"), S("name", 3), S("spec"), S("alike", 5, 0)]).things.spec_content
    assert list(specs.tensors) == ["weight", resembling("weight")[5]]


def test_a_name_that_no_file_can_hold_is_not_resembled():
    reserved = NAMES.index("'__metadata__'")
    steps = [S("tensor"), S("name", reserved), S("tensor"), S("alike", 2)]
    names = program(*steps).things.array_content.tensors
    assert list(names) == [resembling("a")[2]]


def test_metadata_of_libraries_are_entries():
    content = program(*[S("tensor"), S("convention", 0), S("convention", 5)]).things.array_content
    assert content.metadata.value == {one.key: one.value for one in (CONVENTIONS[0], CONVENTIONS[5])}
    assert content.sound
