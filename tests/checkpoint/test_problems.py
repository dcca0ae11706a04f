from __future__ import annotations

import re
from pathlib import Path

from harness.checkpoint.problems import KINDS, Problem, names

PAGE = Path(__file__).parents[2] / "docs" / "check.md"


def test_the_page_has_every_kind_with_its_title_and_advice():
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+?) \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(kind.code, kind.title, kind.advice) for kind in KINDS.values()]


def test_the_page_names_the_kinds_that_give_status_2():
    unread = [kind.code for kind in KINDS.values() if kind.unread]
    text = PAGE.read_text(encoding="utf-8")
    (line,) = re.findall(r"^\| 2 \| (.+) \|$", text, re.MULTILINE)
    assert re.findall(r"`([a-z-]+)`", line) == unread


def test_a_line_is_one_line_of_printable_text():
    kind = KINDS["file-refused"]
    line = Problem(kind, "f", "a\nb\x1b[0m", "c\rd").line()
    assert line == "file-refused: a\\x0ab\\x1b[0m. To do: c\\x0dd."


def test_names_are_quoted_and_counted():
    assert names(["a", "b"]) == "'a', 'b'"
    assert names(["a", "b", "c", "d", "e"]) == "'a', 'b', 'c' and 2 more"
