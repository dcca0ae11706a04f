from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.text import cell, code, fenced, inert, plain

ANYTHING = st.text(st.characters(), max_size=60)  # lone surrogates too


@given(ANYTHING)
def test_plain_text_is_one_printable_line_that_can_be_written(text: str):
    shown = plain(text)
    assert shown.isprintable()
    shown.encode()
    assert plain(shown) == shown


@given(ANYTHING)
def test_code_is_nothing_but_code(text: str):
    element = ET.fromstring(code(text))
    assert (element.tag, len(element), element.text or "") == ("code", 0, plain(text, 300))
    assert not set("|`*_[]@\n") & set(code(text).removeprefix("<code>").removesuffix("</code>"))


@given(ANYTHING, ANYTHING)
def test_a_fence_holds_whatever_is_in_it(text: str, more: str):
    lines = fenced(f"{text}``````{more}").rstrip("\n").split("\n")
    assert lines[0] == lines[-1] == "`" * len(lines[0])
    assert all(line.strip() != lines[0] for line in lines[1:-1])
    assert all(lines[0] not in line for line in lines[1:-1])


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a|b", "a\\|b"), ("x\ny", "x\\\\x0ay"), ("<b>", "\\<b>"), ("\ud800", "\\\\xd800"), ("a" * 9, "a" * 9)],
)
def test_a_cell_of_a_table(text: str, shown: str):
    assert cell(text) == shown


def test_nobody_is_notified_and_nothing_is_linked():
    assert "@all" not in inert("@all #1 https://example.org")
    assert "://" not in inert("https://example.org")
    assert plain("y" * 30, 10) == "yyyyyyy..."
