from __future__ import annotations

from types import ModuleType

import pytest

from harness.format.encode import pack
from harness.observation import ACCEPT, PANIC, RAISE, REJECT, classify
from harness.oracles import contract
from harness.oracles.oracle import Execution
from harness.targets.files.deserialize import Deserialize


def test_documented_ends_are_no_findings(safetensors: ModuleType):
    run = Deserialize().open(safetensors)
    accepted, refused = run(pack([("a", "U8", (1,), b"x")])), run(b"")
    assert (accepted[0], refused[0]) == (ACCEPT, REJECT)
    assert [contract.check(Execution(b"", one)) for one in (accepted, refused)] == [[], []]


@pytest.mark.parametrize(("outcome", "kind"), [(RAISE, "contract"), (PANIC, "panic")])
def test_all_other_ends_are(outcome: str, kind: str):
    (finding,) = contract.check(Execution(b"", (outcome, "OverflowError: int 99999999999 too large for 'name'", None)))
    assert (finding.kind, finding.rule.name, finding.aspect) == (kind, outcome, "OverflowError: int N too large for _")
    assert "99999999999" in finding.summary


def test_a_real_undocumented_error(safetensors: ModuleType):
    """Calls that nobody promises anything of stand in for a defect: the argument is no bytes at all."""
    run = Deserialize().open(safetensors)
    observation = run("not bytes")  # type: ignore[arg-type]
    assert observation[0] == RAISE
    (finding,) = contract.check(Execution(b"", observation))
    assert finding.aspect.startswith("TypeError: argument _: ")


def test_a_panic_is_told_by_the_name_of_its_class():
    class PanicException(BaseException):
        pass

    observation = classify(PanicException("range end index 8 out of range for slice of length 4"), ())
    (finding,) = contract.check(Execution(b"", observation))
    assert finding.aspect == "PanicException: range end index N out of range for slice of length N"
