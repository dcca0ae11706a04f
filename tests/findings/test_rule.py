"""Rules: none without its words, none twice, families by name, cases by aspect; and every rule that the oracles define."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from harness.findings import crashes
from harness.findings import rule as rules
from harness.findings.finding import Finding
from harness.findings.rule import CHECKS, KINDS, Case, Rule, RuleError, define, defined, find, named
from harness.findings.severity import DENIAL, LENIENCY, SEVERITIES, STRICTNESS, WRONG_DATA, WRONG_EXCEPTION
from harness.format.rules import RULES
from harness.oracles import deaths, leaks
from harness.oracles.oracle import Execution, Oracle, oracle
from harness.replay import judge
from harness.targets.registry import all_targets

FIELDS: dict[str, Any] = {
    "name": "shelf.order",
    "oracle": "shelf",
    "kind": "differential",
    "severity": WRONG_DATA,
    "title": "The order is another",
    "why": "The shelf gives its books in another order than it holds them.",
}
RULE = Rule(**FIELDS)
FAMILY = Rule(**FIELDS | {"name": "shelf.*"})


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test defines goes with it."""
    monkeypatch.setattr(rules, "_DEFINED", dict(rules._DEFINED))


@pytest.mark.parametrize("field", ["name", "oracle", "title", "why", "should"])
@pytest.mark.parametrize("text", ["", " \n"])
def test_a_rule_without_its_words_is_refused_and_says_which(field: str, text: str):
    with pytest.raises(RuleError, match=f"has no {field}") as caught:
        Rule(**FIELDS | {field: text})
    assert field == "name" or "'shelf.order'" in str(caught.value)


@pytest.mark.parametrize(("field", "known"), [("severity", tuple(SEVERITIES)), ("kind", KINDS), ("check", CHECKS)])
def test_a_word_of_no_set_is_refused_with_the_words_that_are_known(field: str, known: tuple[str, ...]):
    for word in known:
        assert getattr(Rule(**FIELDS | {field: word}), field) == word
    with pytest.raises(RuleError, match=f"'shelf.order': {field} 'terrible' is not known") as caught:
        Rule(**FIELDS | {field: "terrible"})
    assert caught.value.hint == f"one of: {', '.join(known)}"


@pytest.mark.usefixtures("own")
def test_a_name_belongs_to_one_rule_of_an_oracle():
    define(RULE)
    define(RULE)
    define(Rule(**FIELDS))  # in the same words, as where a module is loaded twice
    define(replace(RULE, oracle="another", why="The other oracle has words of its own."))
    for other in ({"why": "Because."}, {"severity": DENIAL}, {"cases": (Case("*", DENIAL),)}):
        with pytest.raises(RuleError, match=r"oracle 'shelf' defines the rule 'shelf\.order' twice, in other words"):
            define(replace(RULE, **other))
    assert find("shelf", "shelf.order") is RULE
    assert [one.oracle for one in named("shelf.order")] == ["shelf", "another"]


@pytest.mark.usefixtures("own")
def test_an_oracle_defines_what_it_declares_and_covers_no_more():
    @oracle(FAMILY, RULE)
    def check(execution: Execution) -> list[Finding]:
        return []

    assert find("shelf", "shelf.order") is RULE
    assert check.covers(RULE)
    assert check.covers(FAMILY.member("width"))
    assert not check.covers(replace(RULE, name="shelf.colour"))
    assert check(Execution(b"", ("accept", "", None))) == []
    with pytest.raises(RuleError, match="twice, in other words"):
        oracle(replace(RULE, title="Another title"))(check.check)


def test_an_oracle_without_rules_or_with_a_name_for_one_is_refused():
    def check(execution: Execution) -> list[Finding]:
        return []

    with pytest.raises(RuleError, match=r"oracle .*check declares no rule") as caught:
        oracle()(check)
    assert "@oracle(RULE, ...)" in caught.value.hint
    with pytest.raises(RuleError, match=r"names the rule 'shelf\.order', which is not defined"):
        oracle("shelf.order")(check)  # type: ignore[arg-type]  # as somebody may write


def test_a_finding_names_a_rule_that_is_defined():
    with pytest.raises(RuleError, match=r"names the rule 'shelf\.order', which is not defined") as caught:
        Finding("shelf.order", "aspect", "summary")  # type: ignore[arg-type]  # as somebody may write
    assert "Rule(...)" in caught.value.hint
    assert caught.value.exit_status == 2


@pytest.mark.usefixtures("own")
def test_a_member_of_a_family_is_one_rule_with_the_words_of_all():
    define(FAMILY)
    width = FAMILY.member("width")
    assert width is FAMILY.member("width") is find("shelf", "shelf.width")
    assert width is not FAMILY.member("height")
    assert (width.name, width.title) == ("shelf.width", "The order is another (width)")
    assert (width.family, width.why, width.severity) == (FAMILY, FAMILY.why, FAMILY.severity)
    assert FAMILY.member("get.part").name == "shelf.get.part" == find("shelf", "shelf.get.part").name
    assert named("shelf.width") == [width]
    # A rule of its own goes before its family.
    define(RULE)
    assert find("shelf", "shelf.order") is RULE
    assert FAMILY in defined()
    assert width not in defined()
    with pytest.raises(AssertionError, match="is no family"):
        RULE.member("width")


@pytest.mark.usefixtures("own")
def test_what_is_like_a_member_is_none():
    define(FAMILY)
    for oracle_name, name in (("shelf", "shelf"), ("shelf", "shelf."), ("shelf", "shelves.x"), ("other", "shelf.x")):
        assert find(oracle_name, name).family is None
        assert "not installed" in find(oracle_name, name).why


def test_the_first_case_that_matches_and_has_the_field_goes_before_the_rule():
    rule = replace(
        RULE,
        sentence="Books stand in order.",
        cases=(
            Case("accepted/*", LENIENCY),
            Case("accepted/top", DENIAL, why="The top falls.", sentence=""),
            Case("*/top", why="Never for accepted."),
            Case("[ab]*", STRICTNESS),
        ),
    )
    assert [rule.severity_of(aspect) for aspect in ("accepted/top", "accepted/", "b", "refused/top", "Accepted/x")] == [
        LENIENCY, LENIENCY, STRICTNESS, WRONG_DATA, WRONG_DATA,
    ]  # fmt: skip
    assert rule.why_of("accepted/top") == "The top falls."
    assert rule.why_of("refused/top") == "Never for accepted."
    assert rule.why_of("accepted/x") == RULE.why
    assert (rule.sentence_of("accepted/top"), rule.sentence_of("refused/top")) == ("", "Books stand in order.")
    # A finding, and a member of a family, go by the same cases.
    found = Finding(rule, "accepted/top", "summary")
    assert (found.severity, found.why, found.sentence) == (LENIENCY, "The top falls.", "")
    assert replace(rule, name="shelf.*").member("x").severity_of("accepted/top") == LENIENCY


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        ("contract", WRONG_EXCEPTION),
        ("differential", WRONG_DATA),
        ("roundtrip", WRONG_DATA),
        *((kind, DENIAL) for kind in ("panic", "crash", "hang", "memory", "time")),
    ],
)
def test_a_rule_of_a_package_that_is_not_installed_says_so(kind: str, severity: str):
    for name in ("refused", "misread", "layout.hole", "metamorphic.padding", "leaks.bytes", "resources.open", ""):
        if name:
            rule = find("of-nobody", name, kind)
            assert (rule.name, rule.oracle, rule.kind, rule.severity) == (name, "of-nobody", kind, severity)
            assert "The package that defines its rule" in rule.why
            assert len(rule.why) > 30
    assert find("of-nobody", "rule", kind) not in defined()


# -- the rules that the oracles define --------------------------------------------------------------------------


def test_a_rule_that_nothing_can_load_is_an_error_and_no_guess():
    code = "from harness.findings import rule; rule.find('differential', 'header.padding')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "RuleError: a stored finding was read before its rules" in done.stderr


def oracles_of_the_harness() -> list[Oracle]:
    """Those of every target, and those that judge all of them."""
    listed = [one for target in all_targets().values() for one in target.oracles]
    return [*judge.EVERY, *judge.OF_FILES, *judge.COSTLY, leaks.check, *listed]


def test_every_rule_has_whole_sentences_and_quotes_no_scrap():
    all_targets()
    find("of-nobody", "that-loads-all")
    assert {(one.oracle, one.name) for one in defined()} >= {
        ("contract", "panic"), ("contract", "raise"), ("isolation", "crash"), ("leaks", "leaks.*"),
        *(("differential", name) for name in RULES),
    }  # fmt: skip
    # Tests define rules too.
    ours = [rule for rule in defined() if any(rule in one.rules for one in oracles_of_the_harness())]
    assert len(ours) > 60
    for rule in ours:
        for why in (rule.why, *(case.why for case in rule.cases if case.why is not None)):
            assert len(why) > 30, rule.name
            assert why.endswith("."), rule.name
            assert why == why.strip(), rule.name
        for sentence in (rule.sentence, *(case.sentence for case in rule.cases if case.sentence is not None)):
            assert sentence == "" or len(sentence) >= len('"dtype": "F16"'), rule.name
        assert not rule.title.endswith("."), rule.name
        assert {case.severity for case in rule.cases} <= {None, *SEVERITIES}, rule.name


@pytest.mark.parametrize("crash", crashes.crashes(), ids=lambda crash: crash.id)
def test_every_filed_finding_is_of_a_rule_that_an_oracle_defines(crash: crashes.Crash):
    rule = find(crash.oracle, crash.rule.name, crash.kind)
    assert rule in defined() or rule.family in defined()
    found = replace(crash.finding, rule=rule)
    # A person may have found it to be worse, or to be less: else it is as bad as its rule.
    assert found.severity in SEVERITIES
    assert len(found.why) > 30


def test_the_account_of_a_death_says_what_the_program_did():
    reads = deaths.death("crash", "SIGABRT", "header.padding")
    called = deaths.death("memory", "allocation", "get_slice", "get_slice")
    for sign, state in (("SIGABRT", "null-pointer"), ("SIGSEGV", "serialize_file"), ("SIGSEGV", "save")):
        writes = deaths.death("crash", sign, state)
        assert writes.aspect == f"{sign}/{state}"
        assert writes.why.startswith("Writing the caller's values kills the process")
        # The text speaks of files that are read.
        assert writes.sentence == ""
    assert [found.why.partition(".")[0] for found in (reads, called)] == [
        "Reading the file kills the process",
        "Reading the file takes memory out of all proportion to it",
    ]
    assert "DOS" in called.sentence
    cut = deaths.death("crash", "SIGBUS", "get_tensor")
    assert (cut.why, cut.sentence) == (
        "A file that loses its end while it is mapped kills the process that reads it.",
        "",
    )
    # Where nothing foresaw it, it is a death like others.
    unforeseen = deaths.death("crash", "SIGBUS unforeseen", "get_tensor")
    assert (unforeseen.why, "DOS" in unforeseen.sentence) == (reads.why, True)
