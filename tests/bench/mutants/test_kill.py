from __future__ import annotations

import dataclasses

import pytest

from harness import corpus_store
from harness.bench.mutants.build import Slot
from harness.bench.mutants.kill import Inputs, Judge
from harness.parsers.registry import Parser
from tests.bench.mutants.conftest import Make


@pytest.fixture(scope="module")
def inputs(sancov_parser: Parser) -> Inputs:
    """A few seeds of two targets, and what the healthy parser shows on them."""
    few = Inputs({name: Inputs.committed().by_target[name][:60] for name in ("deserialize", "numpy")})
    few.judge_healthy(sancov_parser, lambda _: None)
    return few


def test_a_mutant_is_killed_by_the_target_whose_module_it_changes(
    slot: Slot, make: Make, inputs: Inputs, sancov_parser: Parser
) -> None:
    judge = Judge(inputs, sancov_parser)
    one = make("tensor_dict.items()", "[]")
    with slot.build(one) as built:
        verdict = judge.verdict(one, built)
    assert verdict.kill is not None
    assert verdict.kill.target == "numpy"
    assert verdict.kill.signature not in inputs.known("numpy")
    assert not verdict.kill.masked
    assert not verdict.failed


def test_one_that_changes_nothing_survives(slot: Slot, make: Make, inputs: Inputs, sancov_parser: Parser) -> None:
    one = make("tensor_dict.items()", "(tensor_dict.items())")
    with slot.build(one) as built:
        assert Judge(inputs, sancov_parser).verdict(one, built).kill is None


def test_one_that_does_not_import_is_killed_by_the_start(
    slot: Slot, make: Make, inputs: Inputs, sancov_parser: Parser
) -> None:
    one = make("def _view2np(", "import nothing_of_the_kind\n\n\ndef _view2np(")
    with slot.build(one) as built:
        kill = Judge(inputs, sancov_parser).verdict(one, built).kill
    assert kill is not None
    assert kill.oracle == "start"
    assert "nothing_of_the_kind" in kill.signature


def test_a_known_signature_on_an_input_that_did_not_show_it_kills(
    slot: Slot, make: Make, inputs: Inputs, sancov_parser: Parser
) -> None:
    one = make("tensor_dict.items()", "[]")
    with slot.build(one) as built:
        first = Judge(inputs, sancov_parser).verdict(one, built).kill
        assert first is not None
        signatures = {name: dict(found) for name, found in inputs.signatures.items()}
        other = next(data for data in inputs.by_target["numpy"] if corpus_store.sha1(data) != first.input)
        signatures["numpy"][other] |= {first.signature}
        again = Judge(Inputs(inputs.by_target, signatures, inputs.seconds), sancov_parser).verdict(one, built).kill
    assert again == dataclasses.replace(first, masked=True)


def test_a_failure_on_one_target_ends_the_look_at_the_others(sancov_parser: Parser) -> None:
    few = Inputs({"deserialize": [b""], "numpy": [b""] * 100_000})

    def say(line: str) -> None:
        raise OSError("no room for the log")

    with pytest.raises(OSError, match="no room"):
        few.judge_healthy(sancov_parser, say)
    assert "numpy" not in few.signatures
