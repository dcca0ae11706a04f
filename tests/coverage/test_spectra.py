"""The coverage of single runs, on a coverage build of the released parser."""

from __future__ import annotations

import numpy as np
import pytest

from harness.coverage import spectra
from harness.coverage.spectra import Runs
from harness.parsers.registry import Parser
from harness.programs import arrays

ONE, NONE = arrays.file((("a", "U8", (1,), 0),)), arrays.file(())


@pytest.fixture(scope="module")
def runs(coverage_parser: Parser) -> Runs:
    return spectra.spectra(coverage_parser, "deserialize", [b"", NONE, ONE, ONE[:-1], ONE])


def test_runs_that_share_a_profile_keep_their_counts(
    coverage_parser: Parser, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    places, together = spectra.regions(coverage_parser, runs)
    assert np.array_equal(together[2], together[4])
    assert len({tuple(row) for row in together}) == 4
    monkeypatch.setattr(spectra, "_BITS", 1)
    assert spectra.regions(coverage_parser, runs)[0] == places
    assert np.array_equal(spectra.regions(coverage_parser, runs)[1], together)


def test_every_run_has_a_profile_with_room_for_its_counts() -> None:
    largest = [0, 3, 1 << 40, 7, 900, 0, 1 << 60, 5]
    groups = list(spectra._groups(largest))
    assert sorted(at for group, _ in groups for at in group) == list(range(len(largest)))
    for group, bits in groups:
        assert len(group) == 1 or len(group) * bits <= 56
        assert all(largest[at].bit_length() < bits for at in group)


def test_the_runs_of_oracles_are_measured_if_asked(coverage_parser: Parser, runs: Runs) -> None:
    more = spectra.spectra(coverage_parser, "deserialize", [ONE], oracles=True)
    assert (more.rust[0] >= runs.rust[2]).all()
    assert more.rust[0].sum() > runs.rust[2].sum()
    assert more.signatures == [()]
