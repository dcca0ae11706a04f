"""Features are what single inputs reach, in a process of their own."""

from __future__ import annotations

import json
import struct

from harness.coverage.features import features_of


def framed(header: str, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + data


ONE = framed('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"1234")
EMPTY = framed("{}")
JUNK = b"junk"


def test_features_of_the_parser(sancov_parser):
    (junk, one, again), replayed = features_of(sancov_parser, "deserialize", [JUNK, ONE, JUNK])
    assert replayed.executed == 3
    assert junk is not None
    assert one is not None
    # Each input counts for itself: nothing is left over from the one before.
    assert junk == again
    assert any(f.startswith("rule framing.length ") for f in junk)
    assert "tensor F32 1 False" in one
    assert "header 1 False False" in one
    edges = [{f for f in found if f.startswith("edge ")} for found in (junk, one)]
    assert len(edges[1] - edges[0]) > 50


def test_the_judge_is_watched_line_by_line():
    (junk, one), _ = features_of(None, "model", [JUNK, ONE])
    assert junk is not None
    assert one is not None
    assert any(f.startswith("line framing.py:") for f in junk)
    assert not any(f.startswith("edge ") for f in junk | one)
    assert junk - one
    assert one - junk


def test_programs_are_not_judged_as_files(sancov_parser):
    ((found,), _) = features_of(sancov_parser, "huge", [b""])
    assert found is not None
    assert any(f.startswith("answer accept") for f in found)
    assert not any(f.startswith("rule ") for f in found)


def test_no_inputs():
    found, replayed = features_of(None, "model", [])
    assert (found, replayed.executed) == ([], 0)


def test_features_survive_json():
    """They travel between processes as JSON: only strings."""
    ((found,), _) = features_of(None, "model", [EMPTY])
    assert found is not None
    assert frozenset(json.loads(json.dumps(sorted(found)))) == found
