"""What the bench of kill -9 calls lost. The kills themselves are its own: ``harness bench survival``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import corpus_store
from harness.bench.survival import look, lost
from harness.engine.campaign.process import REPLACED
from harness.errors import HarnessError
from harness.findings import store
from harness.findings.finding import Finding
from harness.oracles import contract


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    for data in (b"one", b"two"):
        corpus_store.add(tmp_path / "corpus" / "deserialize", data)
    finding = Finding(contract.RAISED, "NoSuchError", "words", target="deserialize")
    store.add(tmp_path, finding, b"three", parser="0.8.0", seed=1)
    (tmp_path / "log").mkdir()
    (tmp_path / "campaign.json").write_text(json.dumps({"format": 1, "sessions": [{"executions": 5}]}))
    return tmp_path


def test_what_is_there_still_is_not_lost(campaign: Path) -> None:
    before = look(campaign)
    corpus_store.add(campaign / "corpus" / "deserialize", b"four")
    assert lost(before, campaign) == []


def test_an_input_is_lost_unless_a_smaller_one_replaced_it(campaign: Path) -> None:
    before = look(campaign)
    name = corpus_store.sha1(b"one")
    (campaign / "corpus" / "deserialize" / name).unlink()
    assert lost(before, campaign) == [f"input deserialize/{name}"]
    (campaign / "log" / REPLACED).write_text(f"deserialize/{name}\n")
    assert lost(before, campaign) == []


def test_a_finding_and_a_session_that_are_gone_are_lost(campaign: Path) -> None:
    before = look(campaign)
    (found,) = store.findings(campaign)
    (found.folder / "finding.json").unlink()
    (campaign / "campaign.json").write_text('{"sessions": []}')
    assert lost(before, campaign) == [f"finding {found.id}", "5 executions in 1 sessions, 0 in 0 now"]


def test_what_is_half_written_cannot_be_read(campaign: Path) -> None:
    (found,) = store.findings(campaign)
    found.input.write_bytes(b"")
    with pytest.raises(HarnessError, match="is empty"):
        look(campaign)
    (campaign / "campaign.json").write_text('{"sessions": [')
    found.input.write_bytes(b"three")
    with pytest.raises(ValueError, match="Expecting"):
        look(campaign)
