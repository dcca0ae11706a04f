"""Regions of a file of the parser, on the coverage build."""

from __future__ import annotations

from harness.coverage.regions import measure
from harness.format.encode import pack
from harness.parsers.registry import Parser

ONE = pack([("a", "F32", (1,), b"1234")])


def test_measure_counts_regions_and_the_functions_around_them(coverage_parser: Parser) -> None:
    junk = measure(coverage_parser, "deserialize", [b"junk"])
    one = measure(coverage_parser, "deserialize", [b"junk", ONE])
    assert junk.reached < one.reached < one.entered
    assert measure(coverage_parser, "deserialize", []).reached == frozenset()
