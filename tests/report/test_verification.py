"""The result of ``harness verify`` in its three forms."""

from __future__ import annotations

import json

import pytest

from harness.findings import crashes, defects
from harness.parsers.registry import Parser
from harness.parsers.upstream_tests import Comparison
from harness.report import verification
from harness.targets.registry import all_targets
from harness.triage.verify import CANNOT, DIFFERENT, MENDED, STILL, Judged, Pair, Told, Verification
from tests.triage import test_verify


@pytest.fixture
def done(sancov_parser: Parser, wheel_parser: Parser) -> Verification:
    """A named defect that is half mended, two others of which one is as before; a broken test, and a new finding."""
    all_targets()
    one, two, keys, flax = (
        crashes.load(test_verify.FILED / name)
        for name in (test_verify.BACKWARDS, test_verify.BROADCAST, test_verify.TWICE, test_verify.FLAX)
    )
    record = next(record for record in defects.defects() if one.id in record.findings)
    judged = (
        Judged(record, (Told(one, MENDED), Told(two, STILL)), named=True),
        Judged(record, (Told(keys, DIFFERENT, "now a|b|c|<d>"), Told(keys, MENDED))),
        Judged(record, (Told(flax, CANNOT, "flax is not installed"),)),
        Judged(record, (Told(keys, STILL),)),
    )
    tests = (
        Comparison("cargo test", 40, {}, ["old"], ["good"], {}),
        Comparison("pytest", 7, {"a::b": "fails", "": "ended <early>"}, [], [], {"t": "no torch", "u": "no torch"}),
    )
    campaign = {"targets": ["numpy"], "executions": 1234, "seconds": 30.2, "known": 5, "elsewhere": 1}
    idle = {"state": "left out", "reason": "it does not open"}
    campaign |= {"left_out": {"slices": "it does not open"}, "not_run": {"slices": idle}}
    pair = Pair(sancov_parser, wheel_parser, sancov_parser, wheel_parser)
    return Verification(pair, judged, tests, (("new-1", "t|k|r|a", "it *shows*"),), campaign, 99.0)


def test_text_names_what_the_change_touches_and_counts_the_rest(done: Verification) -> None:
    text = verification.text(done)
    record = done.defects[0].defect.name
    assert f"  still there       {record}: 1 of 2 findings mended; still there: {test_verify.BROADCAST}\n" in text
    assert f"1 of 2 findings mended; shows differently: {test_verify.TWICE} (now a|b|c|<d>)" in text
    assert "Other defects: 1 as before, 1 cannot be told." in text
    assert "cargo test: 40 passed, 0 broken\n  mended: good\n  failed before as well: old\n" in text
    assert "  broken: a::b: fails\n  broken: the suite: ended <early>\n  could not run (no torch): t, u\n" in text
    assert "1,234 executions in 30 s on numpy: 1 new findings, 1 that show before the change as well, 5 known" in text
    assert "5 known; did not run: slices (left out)\n" in text
    assert "; target slices was left out: it does not open; new finding new-1\n" in text
    assert f"fails: {record}: still there; {record} shows differently; a::b: fails" in text


def test_markdown_is_safe_and_has_the_same(done: Verification) -> None:
    text = verification.markdown(done)
    assert text.startswith("### safetensors-harness: the change has faults\n")
    assert "<early>" not in text
    assert "it &#42;shows&#42;" in text
    assert text.count("| still there |") == 1
    assert "- pytest&#58; ended" in text


def test_json_has_every_defect(done: Verification) -> None:
    table = json.loads(json.dumps(verification.as_json(done)))
    assert [one["verdict"] for one in table["defects"]] == [STILL, DIFFERENT, CANNOT, STILL]
    assert (table["passes"], len(table["faults"]), table["seconds"]) == (False, 6, 99.0)
    assert table["tests"][1]["could_not_run"] == [{"test": "t", "why": "no torch"}, {"test": "u", "why": "no torch"}]
    assert table["new"] == [{"id": "new-1", "signature": "t|k|r|a", "summary": "it *shows*"}]


def test_a_change_that_touches_nothing_passes(done: Verification) -> None:
    quiet = Verification(done.pair, done.defects[2:])
    assert verification.text(quiet).endswith(
        "Other defects: 1 as before, 1 cannot be told.\nNo campaign ran.\npasses\n"
    )
    assert "No defect on record shows otherwise than before." in verification.markdown(quiet)
