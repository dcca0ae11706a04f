from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings import verdicts
from harness.findings.finding import normalise
from harness.findings.verdicts import parse
from harness.targets import known_findings

RULE = """
[[rule]]
name = "newline"
kind = "differential"
rule = "header.padding"
aspect = "accepted/new*"
verdict = "by-design"
why = "Files in the wild are padded so."
sentence = "The header data MAY be trailing padded with whitespace (0x20)."
"""
NEWLINE = "deserialize|differential|header.padding|accepted/newline"


def test_a_rule_matches_by_the_parts_of_a_signature():
    (rule,) = parse(RULE, "verdicts.toml")
    assert rule.matches(NEWLINE)
    assert rule.matches(NEWLINE.replace("deserialize", "safe_open"))
    assert not rule.matches(NEWLINE.replace("newline", "tab"))
    assert not rule.matches(NEWLINE.replace("padding", "utf8"))
    assert not rule.matches(NEWLINE.replace("differential", "contract"))


def test_a_project_s_own_rule_makes_a_finding_known(project: Path):
    assert known_findings.known(NEWLINE) is None
    (project / "verdicts.toml").write_text(RULE)
    assert known_findings.known(NEWLINE) == "verdict:newline"
    assert not known_findings.is_open(NEWLINE)


def test_the_package_s_own_rules_are_sound():
    text = Path(verdicts.__file__).with_name("verdicts.toml").read_text()
    for rule in parse(text, "verdicts.toml"):
        assert len(rule.why) > 20
        assert rule.sentence


CAPACITY = (
    "ValueError: (InvalidArgument) The 'shape' in ReshapeOp is invalid. The input tensor X'size must be equal to the capacity of "
    "'shape'. But received X's shape = [4], X's size = 4, 'shape' is [3], the capacity of 'shape' is 3."
)
DIVISIBLE = (
    "ValueError: (InvalidArgument) The 'shape' attribute in ReshapeOp is invalid. The input tensor X'size must be divisible by "
    "known capacity of 'shape'. But received X's shape = [0], 'shape' is [-1, 0, 2]."
)
DIMENSIONS = (
    "OSError: Unimplemented error. Invalid dimension to be accessed. Now only supports access to dimension 0 to 9, but received "
    "dimension is 36. \n  [/paddle/paddle/common/ddim.h:61]"
)
NEGATIVE = (
    "ValueError: (InvalidArgument) Each value of attribute 'shape' is expected to be no less than 0. But received: shape[0] = -1; "
    "shape = [-1, 0, 2].\n  [Hint: Expected data[i] >= 0, but received data[i]:-1 < 0:0.] (at /paddle/paddle/phi/infermeta/nullary.cc:165)"
)


@pytest.mark.parametrize(
    ("call", "words", "known"),
    [
        ("load", DIMENSIONS, True),
        ("load_file", DIMENSIONS, True),
        ("save", DIMENSIONS, False),
        ("load", NEGATIVE, True),
        ("mmap.get_tensor", NEGATIVE, False),
        ("mmap.get_tensor", DIVISIBLE, True),
        ("load", DIVISIBLE, False),
        ("mmap.get_tensor", CAPACITY, False),
        ("mmap.get_slice", "ValueError: (InvalidArgument) The 'shape' in ReshapeOp is invalid", False),
        ("save", "RuntimeError: (PreconditionNotMet) the tensor has no dims", False),
    ],
)
def test_what_paddle_says_is_known_by_its_whole_message_and_by_the_call(call: str, words: str, known: bool):
    """A shape that the binding itself gets wrong is refused in words much like those for one that paddle cannot hold."""
    rule = known_findings.verdict(f"paddle|contract|raise|{call}: {normalise(words)}")
    assert (rule is not None and rule.verdict == "duplicate") == known


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]]\nname = ", "verdicts.toml is damaged.*line 2"),
        (RULE.replace("why =", "reason ="), "unknown field 'reason'"),
        (RULE.replace("Files in the wild are padded so.", " "), "lacks 'why'"),
        (RULE.replace('"by-design"', '"nice"'), "'nice' is none of"),
        ('[[rule]]\nname="all"\nverdict="by-design"\nwhy="x"\nsentence="y"\n', "covers everything"),
        ("[[rule]]\nname = 3\n", "every field is a text"),
        ("[rule]\nname = 'x'\n", r"\[\[rule\]\] tables"),
        (RULE.replace("[[rule]]", "[[rules]]"), r"\[\[rule\]\] tables"),
    ],
)
def test_a_damaged_file_says_what_and_where(project: Path, text: str, message: str):
    (project / "verdicts.toml").write_text(text)
    with pytest.raises(HarnessError, match=message) as caught:
        verdicts.rules()
    assert caught.value.hint
    assert str(project / "verdicts.toml") in str(caught.value)


def test_a_rule_that_covers_too_much_is_named():
    counts = {"narrow": 9, "wide": 30}
    assert verdicts.too_wide(counts, 1_000) == [("wide", 0.03)]
    assert [name for name, _ in verdicts.too_wide(counts, 100)] == ["wide", "narrow"]
    assert verdicts.too_wide(counts, 0) == []


def test_a_rule_for_a_reader_covers_the_loaders_that_stand_on_it(project: Path):
    (project / "verdicts.toml").write_text(RULE.replace("kind =", 'target = "safe_open"\nkind ='))
    assert known_findings.known(NEWLINE) is None
    assert known_findings.known(NEWLINE.replace("deserialize", "safe_open")) == "verdict:newline"
    assert known_findings.known("numpy|differential|header.padding|load: accepted/newline") == "verdict:newline"
