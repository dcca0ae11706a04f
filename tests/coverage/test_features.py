"""Features are what single inputs reach, in a process of their own."""

from __future__ import annotations

from harness.coverage.features import features_of
from harness.coverage.llvm import reached_regions
from harness.coverage.reached import Reached
from tests.framing import framed

ONE = framed('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"1234")
JUNK = b"junk"


def names(reached: Reached) -> list[frozenset[str]]:
    found = [reached.features(i) for i in range(len(reached.bits))]
    return [features for features in found if features is not None]


def starting(features: frozenset[str], prefix: str) -> set[str]:
    return {f for f in features if f.startswith(prefix)}


def test_features_of_the_parser(sancov_parser):
    found, replayed = features_of(sancov_parser, "deserialize", [JUNK, ONE, JUNK])
    assert replayed.executed == 3
    junk, one, again = names(found)
    # Each input counts for itself: nothing is left over from the one before.
    assert junk == again
    assert starting(junk, "rule framing.length ")
    assert "tensor F32 1 False" in one
    assert "header 1 False False" in one
    assert len(starting(one, "edge ") - junk) > 50


def test_the_judge_is_watched_line_by_line():
    found, _ = features_of(None, "model", [JUNK, ONE])
    junk, one = names(found)
    assert starting(junk, "line framing.py:")
    assert not starting(junk | one, "edge ")
    assert junk - one
    assert one - junk


def test_programs_are_not_judged_as_files(sancov_parser):
    found, _ = features_of(sancov_parser, "huge", [b""])
    (program,) = names(found)
    assert starting(program, "answer accept")
    assert not starting(program, "rule ")


def test_no_inputs():
    found, replayed = features_of(None, "model", [])
    assert (found.bits, found.names, replayed.executed) == ([], [], 0)


def test_on_a_coverage_build_the_counters_of_regions_are_features_and_the_profile_is_of_all_inputs(
    coverage_parser, tmp_path
):
    whole, apart = tmp_path / "whole", tmp_path / "apart"
    whole.mkdir()
    apart.mkdir()
    found, _ = features_of(coverage_parser, "deserialize", [JUNK, ONE, JUNK], whole)
    junk, one, again = names(found)
    assert junk == again
    assert all(f.startswith("count ") for f in junk | one)
    assert junk - one
    assert one - junk
    features_of(coverage_parser, "deserialize", [ONE], apart)
    reached = [reached_regions(coverage_parser, list(folder.glob("*.profraw")), tmp_path) for folder in (whole, apart)]
    assert reached[1]
    # Though the counters are emptied before each input, what the first and the last of them reach is in the profile.
    assert reached[1] < reached[0]
