"""Pruning of a corpus in a store, by the real parser."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import corpus_store, paths
from harness.corpus_store import sha1
from harness.coverage import shared
from harness.coverage.choose import Terms
from harness.parsers.registry import Parser
from harness.store.objects import open_store
from harness.store.shared_corpus import SharedCorpus

pytest.importorskip("obstore", reason="the extra cluster brings it")


def test_inputs_that_reach_nothing_new_go_and_the_others_stay(tmp_path: Path, sancov_parser: Parser) -> None:
    objects = open_store(str(tmp_path / "store"))
    seeds = dict(corpus_store.list_seeds(paths.corpus_dir() / "deserialize").seeds[:20])
    first = next(iter(seeds.values()))
    # The same input with other bytes of data reaches the same.
    copies = {sha1(data): data for data in (first[:-1] + bytes([byte]) for byte in range(5))}
    SharedCorpus(objects, "deserialize", sancov_parser.content).push(seeds | copies, "host")
    assert shared.targets(objects) == ["deserialize"]
    change = shared.prune(objects, "deserialize", sancov_parser, "pruner", Terms(regions=False))
    left = {entry.name for entry in objects.list("corpus/deserialize")}
    assert len(left) == change.after < change.before == len(seeds | copies)
    assert SharedCorpus(objects, "deserialize", sancov_parser.content).fresh() == left
    again = shared.prune(objects, "deserialize", sancov_parser, "pruner", Terms(regions=False))
    assert (again.before, again.after) == (change.after, change.after)
