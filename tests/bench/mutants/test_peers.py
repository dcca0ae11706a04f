from __future__ import annotations

import pytest

from harness.bench.mutants.build import Slot
from harness.bench.mutants.kill import Inputs, Judge
from harness.bench.mutants.peers import CrashOnly, Upstream
from harness.parsers.registry import Parser
from tests.bench.mutants.conftest import Make

TENSOR = "safetensors/src/tensor.rs"


def test_a_wrong_answer_is_no_crash(slot: Slot, make: Make, sancov_parser: Parser) -> None:
    few = Inputs({"numpy": Inputs.committed().by_target["numpy"][:60]})
    few.judge_healthy(sancov_parser, lambda _: None)
    judge = Judge(few, sancov_parser)
    one = make("tensor_dict.items()", "[]")
    with slot.build(one) as built:
        assert judge.verdict(one, built).kill is not None
        assert CrashOnly(judge).kills(one, slot) == ""
    one = make(
        "    for k, v in tensor_dict.items():", "    import os; os.abort()\n    for k, v in tensor_dict.items():"
    )
    with slot.build(one):
        assert "SIGABRT" in CrashOnly(judge).kills(one, slot)


@pytest.mark.long
def test_upstream_s_tests_see_a_dtype_with_another_name(slot: Slot, make: Make) -> None:
    slot.compile_unchanged()
    upstream = Upstream()
    upstream.prepare(slot)
    one = make('Dtype::BF16 => "BF16"', 'Dtype::BF16 => "BF61"', TENSOR)
    with slot.build(one):
        assert upstream.kills(one, slot).startswith(("cargo test: ", "pytest: "))
    same = make('Dtype::BF16 => "BF16"', 'Dtype::BF16 => { "BF16" }', TENSOR)
    with slot.build(same):
        assert upstream.kills(same, slot) == ""
