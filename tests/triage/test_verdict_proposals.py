"""Rules learned from decisions, on what is really filed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings import crashes, store, verdicts
from harness.findings.finding import Finding
from harness.findings.signature import finding_id, parts
from harness.findings.verdicts import VerdictRule
from harness.targets import known_findings
from harness.triage import verdict_proposals
from harness.triage.verdict_proposals import generalised

ROOT = Path(__file__).parents[2]
FILED = crashes.crashes()
TAB = "header.padding-362800e8"
SAME_TAB = "header.padding-4ece1589"
MULTIPLY = "panic-a4b0586e"
NEW = "deserialize|differential|layout.hole|accepted/start"


@pytest.fixture
def filed(project: Path) -> Path:
    """A project where everything is filed that is filed here."""
    (project / "crashes").rmdir()
    shutil.copytree(ROOT / "crashes", project / "crashes")
    return project


def campaign(project: Path, seen: dict[str, int], executions: int, name: str = "main") -> Path:
    """A campaign that saw each signature so often."""
    folder = project / "build" / "campaigns" / name
    entries = {}
    for sig, count in seen.items():
        finding = Finding.of_signature(sig, "differential", "seen")
        store.add(folder, finding, b"x", parser="0.8.0", seed=1, execution=1)
        entries[finding_id(sig)] = {"count": count}
    session = {"executions": executions, "targets": ["deserialize"], "findings": entries}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "campaign.json").write_text(json.dumps({"format": 1, "sessions": [session]}))
    return folder


def draft(name: str, verdict: str = "by-design", campaigns: tuple[Path, ...] = (), **globs: str) -> VerdictRule:
    found = verdict_proposals.decided(name, campaigns)
    return verdict_proposals.draft(found, verdict, "so it was decided", name="", sentence="as it says", globs=globs)


def decide(rule: VerdictRule, but: str, *campaigns: Path) -> verdict_proposals.Matches:
    (found,) = verdict_proposals.matches([rule], campaigns)
    verdict_proposals.refuse_too_wide(rule, found, but)
    return found


@pytest.mark.parametrize("crash", FILED, ids=lambda crash: crash.id)
def test_the_narrowest_rule_matches_its_finding_and_nothing_of_another_kind(crash: crashes.Crash):
    rule = VerdictRule("r", "by-design", "w", "s", **generalised(crash.signature))
    assert rule.matches(crash.signature)
    same = {other.id for other in FILED if rule.matches(other.signature)}
    assert {filing_group(other) for other in FILED if other.id in same} == {filing_group(crash)}


def filing_group(crash: crashes.Crash) -> tuple[str, str, str]:
    return crash.kind, parts(crash.signature).rule, parts(crash.signature).aspect.rpartition(": ")[2]


def test_what_the_parser_does_with_a_file_goes_for_all_targets_and_what_the_bindings_do_for_one():
    tab = "deserialize|differential|header.padding|accepted/tab"
    assert generalised(tab)["target"] == "*"
    refused = generalised("safe_open|differential|refused|Error while deserializing header: overflow computing")
    assert refused["target"] == "*"
    assert refused["aspect"] == "Error while *: overflow computing"
    for own in (
        "slices|contract|raise|get_slice: OverflowError: int too big to convert",
        "parallel|differential|refused|of-no-elements",
        "torch_writers|roundtrip|torch.answer|types: ('set', 'list')",
    ):
        assert generalised(own)["target"] == own.partition("|")[0]
    # What is no glob in a signature is none in the rule.
    odd = "slices|contract|raise|get_slice: ValueError: [a] * b?"
    rule = VerdictRule("r", "by-design", "w", "s", **generalised(odd))
    assert rule.matches(odd)
    assert not rule.matches(odd.replace("[a]", "a"))
    assert not rule.matches(odd.replace("* b?", "and b!"))


def test_a_rule_that_would_hide_a_filed_bug_is_refused_and_named(filed: Path):
    with pytest.raises(HarnessError, match=f"would hide {SAME_TAB}, filed as a bug; nothing is written") as caught:
        decide(draft(TAB), TAB)
    assert "--target" in caught.value.hint
    assert caught.value.exit_status == 2
    with pytest.raises(HarnessError) as caught:
        decide(draft(TAB, aspect="*"), TAB)
    open_ones = {c.id for c in FILED if c.rule.name == "header.padding" and c.aspect.startswith("accepted/")} - {TAB}
    assert all(name in str(caught.value) for name in open_ones)
    # One that says so of its own finding alone is none, nor one beside what is by design itself.
    assert [crash.id for crash in decide(draft(TAB, target="deserialize"), TAB).filed] == [TAB]
    crash = crashes.load(filed / "crashes" / SAME_TAB)
    crashes.write_about(replace(crash, status="by-design", verdict="so"), crash.folder)
    assert {crash.id for crash in decide(draft(TAB), TAB).filed} == {TAB, SAME_TAB}


def test_a_mended_bug_is_a_bug_too(filed: Path):
    crash = crashes.load(filed / "crashes" / SAME_TAB)
    crashes.write_about(replace(crash, status="fixed", verdict="mended"), crash.folder)
    with pytest.raises(HarnessError, match=SAME_TAB):
        decide(draft(TAB), TAB)


def test_a_rule_that_covers_more_than_one_execution_in_a_hundred_is_refused(project: Path):
    small = campaign(project, {NEW: 9}, 20, "small")  # too few to say
    just = campaign(project, {NEW: 100}, 10_000, "just")
    name = finding_id(NEW)
    rule = draft(name, campaigns=(just,))
    assert [one.share for one in decide(rule, name, small, just).met] == [0.45, 0.01]
    much = campaign(project, {NEW: 101}, 10_000, "much")
    with pytest.raises(HarnessError, match=rf"covers 1\.0 % of the executions of much \({name}\)"):
        decide(rule, name, just, much)


def test_what_is_in_verdicts_toml_stays_as_it_is(project: Path):
    before = '# kept \t\r\n\n[[rule]] # odd\nrule= "layout.overlap"\nname="one" # why\nverdict  ="wont-fix"\nwhy="w"\nsentence = """\ns"""\n#'
    (project / "verdicts.toml").write_bytes(before.encode())
    folder = campaign(project, {NEW: 1}, 0)
    rule = draft(finding_id(NEW), campaigns=(folder,))
    assert verdict_proposals.append(rule) == project / "verdicts.toml"
    after = (project / "verdicts.toml").read_bytes()
    assert after.startswith(before.encode())
    assert [one.name for one in verdicts.own_rules()] == ["one", "layout.hole-accepted-start"]
    assert verdicts.own_rules()[1] == rule
    assert known_findings.known(NEW) == "verdict:layout.hole-accepted-start"
    assert known_findings.known(NEW.replace("deserialize", "safe_open")) == "verdict:layout.hole-accepted-start"
    with pytest.raises(HarnessError, match="covers layout.hole-2cc0ad64 already"):
        draft(finding_id(NEW), campaigns=(folder,))


def test_a_damaged_file_is_not_added_to(project: Path):
    (project / "verdicts.toml").write_text("[[rule]]\nname = ")
    rule = VerdictRule("x", "by-design", "w", "s", rule="layout.hole")
    with pytest.raises(HarnessError, match="is damaged"):
        verdict_proposals.append(rule)
    assert (project / "verdicts.toml").read_text() == "[[rule]]\nname = "


def test_what_a_draft_needs(filed: Path):
    found = verdict_proposals.decided(TAB, ())
    with pytest.raises(HarnessError, match="would not match header.padding-362800e8 itself"):
        verdict_proposals.draft(found, "by-design", "w", name="", sentence="", globs={"target": "slices"})
    with pytest.raises(HarnessError, match="covers everything"):
        verdict_proposals.draft(
            found,
            "by-design",
            "w",
            name="",
            sentence="",
            globs=dict.fromkeys(("target", "kind", "rule", "aspect"), "*"),
        )
    with pytest.raises(HarnessError, match="there is a rule called 'get-slice-panics-on-empty-tensors'"):
        verdict_proposals.draft(
            found, "by-design", "w", name="get-slice-panics-on-empty-tensors", sentence="", globs={}
        )
    with pytest.raises(HarnessError, match="quotes the sentence"):
        verdict_proposals.draft(
            verdict_proposals.decided("refused-650ca934", ()), "by-design", "w", name="", sentence="", globs={}
        )
    with pytest.raises(HarnessError, match="no finding is called 'x'"):
        verdict_proposals.decided("x", ())
    # A rule of the format brings its sentence along.
    assert "0x20" in verdict_proposals.draft(found, "by-design", "w", name="", sentence="", globs={}).sentence


def test_of_two_rules_the_first_is_counted(project: Path):
    folder = campaign(project, {NEW: 7, NEW.replace("start", "middle"): 5}, 1000)
    wide = VerdictRule("wide", "by-design", "w", "s", rule="layout.hole")
    narrow = VerdictRule("narrow", "by-design", "w", "s", rule="layout.hole", aspect="accepted/start")
    gone = VerdictRule("gone", "by-design", "w", "s", rule="layout.overlap")
    first, second, third = verdict_proposals.matches([narrow, wide, gone], [folder])
    assert [(one.met[0].count, one.nothing) for one in (first, second, third)] == [(7, False), (5, False), (0, True)]
    assert [one.nothing for one in verdict_proposals.matches([wide, narrow], [folder])] == [False, True]
