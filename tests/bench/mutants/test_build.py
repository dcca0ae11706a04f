from __future__ import annotations

import subprocess
import sys

import pytest

from harness.bench.mutants.build import IdenticalError, Slot, UnviableError
from harness.parsers.registry import Parser
from tests.bench.mutants.conftest import NUMPY, Make

SPELL = """
import sys
from harness.parsers import registry, runtime
runtime.load(registry.find(sys.argv[1]))
import numpy, safetensors.numpy
print(safetensors.numpy.save({"a": numpy.zeros(3, "u1")})[8:].rstrip(b"\\0").decode().strip())
"""


def _saves(parser: Parser) -> str:
    command = [sys.executable, "-c", SPELL, parser.name]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_a_mutant_of_a_module_is_there_until_its_context_ends(slot: Slot, make: Make) -> None:
    healthy = _saves(slot.parser)
    with slot.build(make("tensor_dict.items()", "[]")):
        assert _saves(slot.parser) != healthy
    assert _saves(slot.parser) == healthy


def test_one_that_is_no_python_is_unviable_and_leaves_nothing(slot: Slot, make: Make) -> None:
    healthy = _saves(slot.parser)
    with pytest.raises(UnviableError, match="SyntaxError"), slot.build(make("tensor_dict.items()", "][")):
        pass
    assert _saves(slot.parser) == healthy


@pytest.mark.long
def test_one_of_the_crate_is_compiled_into_both_extensions(slot: Slot, make: Make, sancov_parser: Parser) -> None:
    healthy = _saves(slot.parser)
    file = "safetensors/src/tensor.rs"
    unviable = make("pub struct SafeTensors<'data> {", "pub struct SafeTensors<'data> { x: Nothing,", file)
    with pytest.raises(UnviableError, match="cannot find type `Nothing`"), slot.build(unviable):
        pass
    same = make("pub struct SafeTensors<'data> {", "pub struct SafeTensors<'data> {  ", file)
    with pytest.raises(IdenticalError), slot.build(same):
        pass
    before = {path: path.read_bytes() for path in (slot.parser.module, *slot.parser.root.glob("crate-api-*.so"))}
    with slot.build(make("name.to_string(), tensor_info", 'name.to_string() + "x", tensor_info', file)):
        assert '"ax"' in _saves(slot.parser)
        assert {path for path, content in before.items() if path.read_bytes() == content} == set()
    with slot.build(make("tensor_dict.items()", "(tensor_dict.items())", NUMPY)):
        assert _saves(slot.parser) == healthy
    with slot.build(make("name.to_string(), tensor_info", 'name.to_string() + "x", tensor_info', file)):
        pass
    later = Slot(slot.number, sancov_parser)
    later.compile_unchanged()
    assert _saves(later.parser) == healthy
