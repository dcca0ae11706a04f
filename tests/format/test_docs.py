"""docs/format.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from harness.format.judge import ASPECTS, FEATURES, RULES, UNSPECIFIED, judge

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]


def test_every_rule_stands_there_with_its_sentence_and_aspects_in_order() -> None:
    sentences = RULES | {f"unspecified.{kind}": sentence for kind, sentence in UNSPECIFIED.items()}
    listed = [row.split("`")[1] for row in ROWS]
    assert listed == [*ASPECTS, *FEATURES]
    for row, (rule, aspects) in zip(ROWS, ASPECTS.items(), strict=False):
        assert sentences[rule] in row
        assert row.endswith("| " + ", ".join(f"`{aspect}`" for aspect in aspects) + " |")


def test_every_feature_stands_there_with_its_meaning() -> None:
    assert ROWS[len(ASPECTS) :] == [f"| `{tag}` | {meaning} |" for tag, meaning in FEATURES.items()]


def test_the_example_is_true() -> None:
    assert judge(b"\x02\0\0\0\0\0\0\0{}").verdict == "accept"
    judgement = judge(b"\x03\0\0\0\0\0\0\0{}\n")
    assert (judgement.rule, judgement.aspect, judgement.span) == ("header.padding", "newline", (10, 11))
    assert 'judge(b"\\x03\\0\\0\\0\\0\\0\\0\\0{}\\n")' in PAGE
    assert '("header.padding", "newline", (10, 11))' in PAGE
