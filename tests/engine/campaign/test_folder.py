"""The seeds of a campaign: committed ones, those of its folder, and the target's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import corpus_store
from harness.engine.campaign import folder
from harness.errors import HarnessError

OWN = {"one": b"1", "two": b"2", "the same": b"2"}


def test_own_seeds_that_the_corpus_lacks_go_into_the_campaign(tmp_path: Path):
    committed, campaign = tmp_path / "corpus/slices", tmp_path / "campaign/corpus/slices"
    corpus_store.add(committed, b"1")
    assert folder.seeds((committed, campaign), "slices", own=OWN) == (2, [])
    assert [data for _, data in corpus_store.list_seeds(campaign).seeds] == [b"2"]
    # The next session finds them there.
    assert folder.seeds((committed, campaign), "slices", own=OWN) == (2, [])


def test_an_empty_campaign_gets_none(tmp_path: Path):
    assert folder.seeds((tmp_path / "slices",), "slices", own=OWN, empty=True) == (0, [])
    assert corpus_store.list_seeds(tmp_path / "slices").seeds == []
    with pytest.raises(HarnessError, match="no seeds for target slices"):
        folder.seeds((tmp_path / "slices",), "slices")
