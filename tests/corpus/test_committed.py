"""The seeds in this repository keep what corpus/README.md promises."""

from __future__ import annotations

import pytest

from harness import corpus_store, paths
from harness.mutate.generate import generate
from harness.mutate.rng import Rng
from harness.targets import base, huge_program

CORPUS = paths.corpus_dir()
TARGETS = sorted(base.targets())


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
def test_generated_seeds_can_be_generated_again(target):
    seeds = dict(corpus_store.list_seeds(CORPUS / target).seeds)
    programs = huge_program.seeds()
    checked = 0
    for name, origin in corpus_store.read_provenance(CORPUS / target).items():
        if origin.source != "generator":
            continue
        if target == "huge":
            again = programs[origin.detail.split()[1]]
        else:
            assert origin.seed is not None
            again = generate(Rng(origin.seed))
        assert again == seeds[name]
        checked += 1
    assert checked


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_fit_their_target(target):
    assert max(len(data) for _, data in corpus_store.list_seeds(CORPUS / target).seeds) <= base.get(target).max_len


def test_the_corpus_is_small():
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 2_000_000
