"""Each bug shows by its example alone, is counted, and does not hide another; without a switch the build acts as the release."""

from __future__ import annotations

import pytest

from harness.bench.range import bugs, examples
from harness.errors import HarnessError
from harness.parsers.registry import Parser

BUGS = bugs.bugs()
NUMBERS = [bug.number for bug in BUGS]
#: Their examples need torch.
TORCH = [bug.number for bug in BUGS if "torch" in bug.shows]


@pytest.fixture(scope="module")
def parser() -> Parser:
    pytest.importorskip("torch")
    return bugs.parser(lambda line: None)


@pytest.mark.long
def test_each_bug_shows_and_is_counted(parser: Parser) -> None:
    found = examples.check(parser, BUGS)
    assert {number for number, shown in found.items() if not shown.holds} == set()


@pytest.mark.long
def test_no_bug_hides_another(parser: Parser) -> None:
    off = examples.results(parser, NUMBERS)
    together = {number: examples.results(parser, [number], "all")[number] for number in NUMBERS}
    assert [number for number in NUMBERS if off[number] == together[number]] == []


@pytest.mark.long
def test_without_a_switch_it_is_the_release(parser: Parser, sancov_parser: Parser) -> None:
    assert examples.results(parser, NUMBERS) == examples.results(sancov_parser, NUMBERS)


def test_the_released_build_runs_every_example(sancov_parser: Parser) -> None:
    some = [number for number in NUMBERS if number not in TORCH]
    assert examples.results(sancov_parser, some).keys() == set(some)


def test_an_example_that_fails_names_its_bug(sancov_parser: Parser) -> None:
    with pytest.raises(HarnessError, match=r"example of bug \[99\]"):
        examples.results(sancov_parser, [99])
