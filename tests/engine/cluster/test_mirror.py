"""What a driver takes from a store: all of a campaign with targets, and its own part of one that several drivers share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.engine.campaign.shared_unit import identity
from harness.engine.cluster.mirror import Mirror
from harness.findings import store
from harness.findings.finding import Finding
from harness.parsers.registry import Parser
from harness.store import records
from harness.store.objects import open_store

pytest.importorskip("obstore", reason="the extra cluster brings it")
FINDING = Finding.of_signature("deserialize|panic|contract.panic|somewhere", "contract", "it panics")
DATA = b"an input"


@pytest.mark.parametrize("shared", [False, True])
def test_drivers_that_share_a_campaign_have_ledgers_and_findings_of_their_own(
    tmp_path: Path, sancov_parser: Parser, *, shared: bool
) -> None:
    objects = open_store(str(tmp_path / "store"))
    records.join(objects, identity(sancov_parser, () if shared else ("deserialize",)))
    about = {**FINDING.about(), "summary": FINDING.summary, "size": len(DATA)}
    records.put_finding(objects, about, DATA)
    records.put_session(objects, {"id": "theirs", "started": "1", "per_target": {}, "findings": {}})
    place = tmp_path / "campaign"
    place.mkdir()
    own = {"id": "own", "started": "2", "per_target": {}, "findings": {}}
    (place / "campaign.json").write_text(json.dumps({"sessions": [own]}))
    mirror = Mirror(objects, place, sancov_parser, "driver")
    mirror.join(("deserialize",))
    mirror.sessions()
    assert [one["id"] for one in store.sessions(place)] == (["own"] if shared else ["theirs", "own"])
    assert {one["id"] for one in records.get_sessions(objects, ())} == {"own", "theirs"}
    mirror.get((), ())
    assert [one.id for one in store.findings(place)] == ([] if shared else [FINDING.id])
    # One of its units has met it.
    mirror.get((), {FINDING.id})
    assert [(one.id, one.data()) for one in store.findings(place)] == [(FINDING.id, DATA)]
