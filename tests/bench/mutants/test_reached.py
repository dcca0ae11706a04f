"""The inputs that run the place of a mutant, on a coverage build of the released parser."""

from __future__ import annotations

import dataclasses

import pytest

from harness.bench.mutants import reached
from harness.bench.mutants.kill import Inputs, Judge
from harness.bench.mutants.mutant import Mutant
from harness.bench.mutants.reached import Reached
from harness.errors import HarnessError
from harness.parsers.registry import Parser
from tests.bench.mutants.conftest import Make

TENSOR, SLICE = "safetensors/src/tensor.rs", "safetensors/src/slice.rs"


@pytest.fixture(scope="module")
def found(coverage_parser: Parser) -> Reached:
    every = Inputs.committed().by_target
    few = {name: every[name][:60] for name in ("deserialize", "numpy", "slices")}
    return reached.measure(coverage_parser, few, lambda _: None)


@pytest.mark.parametrize(
    ("old", "file", "targets"),
    [
        ("tensor_dict.items()", "py_src/safetensors/numpy.py", {"numpy"}),
        # No seed has an order of bytes that its function does not know.
        ("Unexpected byte order", "py_src/safetensors/numpy.py", set()),
        ("tensor.dtype.byteorder", "py_src/safetensors/numpy.py", {"numpy"}),
        ("TensorIndexer::Select(s) => (*s, *s + 1, 1)", SLICE, {"slices"}),
        # Between two regions the function decides.
        ("let mut newshape = Vec::with_capacity(n_shape);", SLICE, {"slices"}),
        # Compiled, and run by nobody.
        ("SafeTensorError::IoError(source) => Some(source)", TENSOR, set()),
    ],
)
def test_targets_that_run_the_place(found: Reached, make: Make, old: str, file: str, targets: set[str]) -> None:
    assert set(found.inputs(make(old, "", file)) or ()) == targets


def test_an_input_that_fails_before_the_place_is_left_out(coverage_parser: Parser, make: Make) -> None:
    header = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   '
    whole = len(header).to_bytes(8, "little") + header + b"\0"
    found = reached.measure(coverage_parser, {"deserialize": [b"", whole, whole[:-1]]}, lambda _: None)
    validated = dataclasses.replace(make("let buffer_end = metadata.validate()?;", "", TENSOR), column=26)
    measured = dataclasses.replace(make("buffer_end + N_LEN + n != buffer_len", "", TENSOR), column=12)
    for mutant in (validated, measured):
        assert list((found.inputs(mutant) or {})["deserialize"]) == [False, True, True]
    assert list((found.inputs(measured, function=True) or {})["deserialize"]) == [True, True, True]


def test_inputs_for_which_no_time_is_left_count_as_running_all(
    coverage_parser: Parser, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reached, "_BUDGET_S", 0)
    found = reached.measure(coverage_parser, {"deserialize": [b"", b"1", b"2"]}, lambda _: None)
    mutant = dataclasses.replace(make("let buffer_end = metadata.validate()?;", "", TENSOR), column=26)
    assert list((found.inputs(mutant) or {})["deserialize"]) == [False, True, True]


def test_a_function_that_is_not_compiled_is_run_by_none(found: Reached, coverage_parser: Parser) -> None:
    text = (coverage_parser.source / TENSOR).read_text(encoding="utf-8")
    start = text.index("match self", text.index("impl core::error::Error for SafeTensorError"))
    mutant = Mutant(TENSOR, text.count("\n", 0, start) + 1, 9, "source", "", start, start + 5, "")
    assert found.inputs(mutant) == {}


def test_outside_of_functions_coverage_cannot_tell(found: Reached, make: Make) -> None:
    assert found.inputs(make('"F64": np.float64', "", "py_src/safetensors/numpy.py")) is None


def test_a_mutant_that_nothing_runs_survives_without_a_replay(
    found: Reached, make: Make, coverage_parser: Parser
) -> None:
    inputs = Inputs({"deserialize": [b""]})
    # The build has no such target: a replay would fail.
    judge = Judge(inputs, dataclasses.replace(coverage_parser, name="none"), found)
    verdict = judge.verdict(make("SafeTensorError::IoError(source) => Some(source)", "", TENSOR), coverage_parser)
    assert (verdict.kill, verdict.reached) == (None, 0)


def test_a_coverage_build_of_another_release_is_refused(sancov_parser: Parser, coverage_parser: Parser) -> None:
    other = dataclasses.replace(sancov_parser, version="0.7.0")
    with pytest.raises(HarnessError, match="is of 0.8.0, and"):
        reached.coverage_build(other)
