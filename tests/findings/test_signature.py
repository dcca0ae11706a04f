from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.findings.finding import Finding, normalise
from harness.findings.signature import Parts, finding_id, parts
from harness.oracles import contract, differential


def panic(message: str) -> Finding:
    return Finding(contract.PANICKED, normalise(message), message, target="deserialize")


def test_it_reads_as_target_kind_rule_aspect():
    rule = differential.RULES["header.duplicate-key"]
    finding = Finding(rule, "accepted/tensor-name", "the key 'a' ...", target="deserialize")
    assert finding.signature == "deserialize|differential|header.duplicate-key|accepted/tensor-name"
    assert parts(finding.signature) == Parts("deserialize", "differential", rule.name, "accepted/tensor-name")


def test_the_same_defect_with_other_numbers_and_names_has_the_same_signature():
    first = panic("PanicException: index out of bounds: the len is 3 but the index is 18446744073709551615")
    second = panic("PanicException: index out of bounds: the len is 90 but the index is 91")
    assert first.signature == second.signature
    assert first.id == second.id == finding_id(first.signature)


def test_other_defects_and_other_targets_differ():
    overflow = panic("PanicException: attempt to multiply with overflow")
    bounds = panic("PanicException: index out of bounds: the len is 3 but the index is 4")
    found = {overflow.signature, overflow.on("safe_open").signature, bounds.signature}
    assert len({finding_id(sig) for sig in found}) == 3


def test_the_id_says_what_is_broken():
    assert finding_id("deserialize|differential|header.duplicate-key|accepted/x").startswith("header.duplicate-key-")
    assert finding_id("deserialize|panic|panic|PanicException: boom").startswith("panic-")
    assert finding_id("deserialize|crash||SIGSEGV").startswith("crash-")


def test_ids_never_change():
    # crashes/ and people's notes name findings by them.
    assert finding_id("deserialize|differential|header.padding|accepted/newline") == "header.padding-83c1b013"


@given(st.text(), st.text(), st.text())
def test_the_id_is_a_plain_folder_name_whatever_the_words(kind: str, rule: str, aspect: str):
    name = finding_id(f"target|{kind.replace('|', '')}|{rule.replace('|', '')}|{aspect}")
    assert name.isascii()
    assert not name.startswith((".", "-"))
    assert "/" not in name
    assert len(name) <= 60


def test_parts_takes_it_apart_again():
    assert parts("t|contract|raise|a|b") == Parts("t", "contract", "raise", "a|b")
    with pytest.raises(ValueError, match="not a signature"):
        parts("deserialize|panic")
