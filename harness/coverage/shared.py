"""Prunes the corpus of a store, which hosts may use at the same time. Nothing else deletes objects of a store."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness import corpus_store
from harness.coverage import upkeep
from harness.coverage.choose import EVERYTHING, Terms
from harness.coverage.upkeep import Change
from harness.parsers.registry import Parser
from harness.store.objects import Objects
from harness.store.shared_corpus import SharedCorpus


def targets(objects: Objects) -> list[str]:
    """The targets with inputs in the store."""
    return sorted({entry.path.split("/")[1] for entry in objects.list("corpus")})


def prune(objects: Objects, target: str, parser: Parser, host: str, terms: Terms = EVERYTHING) -> Change:
    """Remove inputs of ``target`` that reach nothing the others do not, as :func:`upkeep.minimize` does. Regions stay.

    Inputs that hosts store meanwhile stay too, and so do regions where two prunings run at once. Raises HarnessError and EngineError as it does, and where the store cannot be used.
    """
    corpus = SharedCorpus(objects, target, parser.content)
    names = corpus.whole(host)
    with tempfile.TemporaryDirectory(prefix="harness-prune-") as place:
        folder = Path(place) / target
        inputs = dict(corpus.fetch(sorted(names)))
        for data in inputs.values():
            corpus_store.add(folder, data, durable=False)
        change = upkeep.minimize(Path(place), target, parser, terms)
        kept = {name for name, _ in corpus_store.list_seeds(folder).seeds}
    corpus.prune(inputs.keys() - kept, {name: inputs[name] for name in kept}, host)
    return change
