from __future__ import annotations

from pathlib import Path

import pytest

from harness import corpus_store, paths
from harness.engine.campaign.shared_unit import identity
from harness.findings.finding import Finding
from harness.format.encode import pack
from harness.parsers.registry import Parser
from harness.replay import replay
from harness.store import records
from harness.store.objects import Objects, open_store
from harness.store.shared_corpus import SharedCorpus
from harness.tasks.kinds import Place
from tests.engine.cluster.conftest import parts

__all__ = ["parts"]


def seeds(target: str, count: int) -> dict[str, bytes]:
    """The first committed seeds of a target."""
    return dict(corpus_store.list_seeds(paths.corpus_dir() / target).seeds[:count])


def large() -> bytes:
    """A file with a tab in its padding, and with a tensor and metadata that the finding does not need."""
    header = pack([("weights", "F32", (2,), bytes(8))], {"format": "pt"})
    size = int.from_bytes(header[:8], "little")
    text = header[8 : 8 + size].rstrip() + b"\t"
    return len(text).to_bytes(8, "little") + text + header[8 + size :]


def fill(objects: Objects, parser: Parser, count: int = 20) -> Finding:
    """Begin a campaign with ``count`` inputs of two targets, and one finding, which is returned."""
    records.join(objects, identity(parser))
    for target in ("deserialize", "numpy"):
        SharedCorpus(objects, target, parser.content).push(seeds(target, count), "host")
    (judged,) = replay.once(parser, "deserialize", large()).findings
    found = judged.finding
    about = {**found.about(), "summary": found.summary, "size": len(large())}
    assert records.put_finding(objects, about, large())
    return found


@pytest.fixture
def place(tmp_path: Path, sancov_parser: Parser) -> Place:
    pytest.importorskip("obstore", reason="the extra cluster brings it")
    objects = open_store(str(tmp_path / "store"))
    fill(objects, sancov_parser)
    return Place(objects, sancov_parser, sancov_parser.content, "host")
