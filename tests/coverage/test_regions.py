"""Regions of a file of the parser, on the coverage build."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.coverage.features import features_of
from harness.coverage.regions import measure
from harness.errors import EngineError
from harness.format.encode import pack
from harness.parsers import registry
from harness.parsers.registry import Parser

ONE = pack([("a", "F32", (1,), b"1234")])


def test_measure_counts_regions_and_the_functions_around_them(coverage_parser: Parser) -> None:
    junk = measure(coverage_parser, "deserialize", [b"junk"])
    one = measure(coverage_parser, "deserialize", [b"junk", ONE])
    assert junk.reached < one.reached < one.entered
    assert measure(coverage_parser, "deserialize", []).reached == frozenset()


def test_a_name_that_goes_to_another_build_changes_nothing(
    project: Path, coverage_parser: Parser, wheel_parser: Parser
) -> None:
    (project / "build" / "parsers" / coverage_parser.name).symlink_to(wheel_parser.root)
    assert registry.find(coverage_parser.name).root == wheel_parser.root
    assert measure(coverage_parser, "deserialize", [ONE]).reached
    reached, _ = features_of(coverage_parser, "deserialize", [ONE])
    assert any(name.startswith("count ") for name in reached.names)


def test_a_build_that_is_removed_in_use_is_an_error(coverage_parser: Parser, tmp_path: Path) -> None:
    gone = dataclasses.replace(coverage_parser, root=tmp_path / "gone")
    with pytest.raises(EngineError, match="the build of 0.8.0-coverage was removed while it was in use"):
        measure(gone, "deserialize", [ONE])
