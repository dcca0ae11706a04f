from __future__ import annotations

from pathlib import Path

import pytest

from harness.bench.mutants import mutant
from harness.bench.mutants.mutant import Mutant
from harness.errors import HarnessError
from harness.parsers import fixes

# As cargo-mutants 27.1 prints it, without the diff.
ROW = {
    "file": "src/a.rs",
    "function": {"function_name": "f", "return_type": "-> bool"},
    "name": "src/a.rs:2:7: replace < with == in f",
    "replacement": "==",
    "span": {"start": {"line": 2, "column": 7}, "end": {"line": 2, "column": 8}},
}


def test_a_row_of_cargo_mutants_changes_the_characters_of_its_span(tmp_path: Path) -> None:
    (tmp_path / "crate/src").mkdir(parents=True)
    text = "fn f(a: u8) -> bool { // é\n    a < 2\n}\n"
    (tmp_path / "crate/src/a.rs").write_text(text, encoding="utf-8")
    made = mutant._of_cargo(ROW, tmp_path, "crate")
    assert made.applied(text) == "fn f(a: u8) -> bool { // é\n    a == 2\n}\n"
    assert (made.name, made.function, made.line) == ("crate/src/a.rs:2:7: replace < with == in f", "f", 2)


@pytest.mark.parametrize(
    ("before", "after"), [("a = 1", "a = 12"), ("x" * 9, "x" * 7), ("", "new"), ("same", "same"), ("abab", "ab")]
)
def test_the_difference_of_two_texts_makes_one_of_the_other(before: str, after: str) -> None:
    start, end, text = mutant._difference(before, after)
    assert before[:start] + text + before[end:] == after


@pytest.mark.parametrize("start", range(12))
@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_mutant_is_the_same_change_as_an_edit(start: int, length: int) -> None:
    text = "a < b; a < b"
    one = Mutant("a.rs", 1, start + 1, "f", "", start, min(start + length, len(text)), "==")
    (edit,) = one.as_change(text).edits
    assert fixes.edited(text, [("it", edit)], edit.file) == one.applied(text)


def test_the_parts_of_a_list_have_every_mutant_once() -> None:
    every = [Mutant("a.rs", n, 1, "", "", n, n, "") for n in range(10)]
    parts = [mutant.share(every, number, 3) for number in (1, 2, 3)]
    assert sorted(one.line for part in parts for one in part) == list(range(10))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_libraries_that_are_not_there_are_an_error_that_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="the mutants could not be listed") as caught:
        mutant.every(tmp_path, tmp_path / "nothing")
    assert ".ci/mutants measure" in str(caught.value.hint)
