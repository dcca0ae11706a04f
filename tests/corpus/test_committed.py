"""The seeds in this repository keep what corpus/README.md promises."""

from __future__ import annotations

import pytest

from harness import corpus_store, paths
from harness.format.judge import judge
from harness.targets.registry import all_targets, get_target

CORPUS = paths.corpus_dir()
TARGETS = sorted(all_targets())


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_seeds_and_nothing_foreign(target):
    listing = corpus_store.list_seeds(CORPUS / target)
    assert listing.seeds
    assert listing.skipped == []


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_says_where_it_came_from(target):
    seeds = {name for name, _ in corpus_store.list_seeds(CORPUS / target).seeds}
    assert set(corpus_store.read_provenance(CORPUS / target)) == seeds


@pytest.mark.parametrize("target", TARGETS)
def test_origins_are_of_the_known_kinds(target):
    origins = corpus_store.read_provenance(CORPUS / target).values()
    assert {origin.source for origin in origins} <= {"generator", "campaign", "import"}
    assert all(origin.detail for origin in origins)


@pytest.mark.parametrize("target", ["deserialize", "safe_open", "model"])
def test_generated_seeds_are_valid_files(target):
    """The generator makes valid files only; whatever is wrong in a seed was found by a campaign."""
    origins = corpus_store.read_provenance(CORPUS / target)
    seeds = corpus_store.list_seeds(CORPUS / target).seeds
    generated = [data for name, data in seeds if origins[name].source == "generator"]
    assert {judge(data).verdict for data in generated} == {"accept"}


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_fit_their_target(target):
    assert max(len(data) for _, data in corpus_store.list_seeds(CORPUS / target).seeds) <= get_target(target).max_len


def test_the_corpus_is_small():
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 2_000_000
