"""The identity of a campaign in a store, and what units leave there."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from harness.corpus_store import sha1
from harness.errors import HarnessError
from harness.findings.finding import Finding
from harness.store import records
from harness.store.objects import Objects, open_store
from harness.store.records import Identity

MINE = Identity("0.1.0", "3.11", "ab" * 32, ("deserialize", "torch"))


def about(data: bytes, **changed: Any) -> dict[str, Any]:
    finding = Finding.of_signature("deserialize|panic|contract.panic|somewhere", "contract", "it panics")
    return {**finding.about(), "summary": finding.summary, "size": len(data), **changed}


def test_the_first_one_begins_the_campaign_and_others_join_it(objects: Objects) -> None:
    assert records.join(objects, MINE) == MINE
    assert records.join(objects, MINE) == MINE
    # A unit has one of the targets.
    one = dataclasses.replace(MINE, targets=())
    assert records.join(objects, one, ("torch",)).targets == MINE.targets
    with pytest.raises(HarnessError, match="no target numpy"):
        records.join(objects, one, ("numpy",))


def test_a_store_without_a_campaign_is_left_as_it_is(objects: Objects) -> None:
    with pytest.raises(HarnessError, match="has no campaign"):
        records.join(objects, MINE, begin=False)
    assert objects.list("") == []
    records.join(objects, MINE)
    assert records.join(objects, MINE, begin=False) == MINE


def test_a_store_without_targets_takes_any(objects: Objects) -> None:
    records.join(objects, dataclasses.replace(MINE, targets=()))
    assert records.join(objects, MINE).targets == ()
    assert records.join(objects, MINE, ("numpy",)).targets == ()


@pytest.mark.parametrize(
    ("changed", "words", "hint"),
    [
        ({"harness": "0.2.0"}, "version of the harness is '0.1.0' there and '0.2.0' here", "empty prefix"),
        ({"python": "3.12"}, "Python is '3.11' there and '3.12' here", "empty prefix"),
        ({"parser": "cd" * 32}, "its parser is abababababab, and the one here is cdcdcdcdcdcd", "--parser"),
        ({"targets": ("numpy",)}, "it has no target numpy", "it has deserialize, torch"),
    ],
)
def test_another_campaign_is_refused(objects: Objects, changed: dict[str, Any], words: str, hint: str) -> None:
    records.join(objects, MINE)
    before = objects.read(records.IDENTITY, 1000)
    with pytest.raises(HarnessError, match="belongs to another campaign") as raised:
        records.join(objects, dataclasses.replace(MINE, **changed))
    assert words in str(raised.value)
    assert hint in raised.value.hint
    assert objects.read(records.IDENTITY, 1000) == before


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"format": 99}'])
def test_a_damaged_identity_is_refused(objects: Objects, content: bytes) -> None:
    objects.create(records.IDENTITY, content)
    with pytest.raises(HarnessError, match="damaged|the format is 99 there and 1 here"):
        records.join(objects, MINE)


def test_a_clock_that_is_wrong_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = open_store(str(tmp_path))
    records.check_clock(objects, "host-1")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 600)
    with pytest.raises(HarnessError, match="the clock of host-1 is 600 s ahead of the store's") as raised:
        records.check_clock(objects, "host-1")
    assert "NTP" in raised.value.hint


def test_the_smallest_input_of_a_finding_is_read(objects: Objects) -> None:
    inputs = (b"large one", b"small", b"medium!", b"small")
    # The first host with a finding gets credit for it.
    assert [records.put_finding(objects, about(data), data) for data in inputs] == [True, False, False, False]
    ((fields, data),) = records.get_findings(objects, {})
    assert (data, fields) == (b"small", about(b"small"))
    name = fields["id"]
    assert list(records.get_findings(objects, {name: 5})) == []
    assert [data for _, data in records.get_findings(objects, {name: 6})] == [b"small"]


def test_hostile_findings_are_refused_and_the_next_candidate_is_read(objects: Objects) -> None:
    good = about(b"a good input")
    records.put_finding(objects, good, b"a good input")
    place = f"findings/{good['id']}"
    lies = {
        f"{place}/00000001-{sha1(b'x')}.json": {**about(b"x"), "input": base64.b64encode(b"y").decode()},
        f"{place}/00000002-{sha1(b'xy')}.json": {
            **about(b"xy", signature="none"),
            "input": base64.b64encode(b"xy").decode(),
        },
        f"{place}/00000003-{sha1(b'xyz')}.json": {"id": good["id"]},
        f"findings/elsewhere/00000001-{sha1(b'x')}.json": {**about(b"x"), "input": base64.b64encode(b"x").decode()},
        "findings/loose.json": {},
    }
    for path, content in lies.items():
        objects.create(path, json.dumps(content).encode())
    assert [data for _, data in records.get_findings(objects, {})] == [b"a good input"]
    assert set(objects.refused.named) == set(lies)


def test_guards_are_pooled_and_those_that_match_anything_are_refused(objects: Objects) -> None:
    assert records.put_guard(objects, "torch", ["dtype", "F8"])
    assert not records.put_guard(objects, "torch", ["dtype", "F8"])
    for content in (b"[]", b'[""]', b"{}", b'["a", 1]'):
        objects.create(f"guards/torch/{sha1(content)}", content)
    objects.create(f"guards/torch/{sha1(b'other')}", b'["word"]')
    assert records.get_guards(objects, "torch") == ['["dtype", "F8"]']
    assert sum(objects.refused.counts.values()) == 5
    assert records.get_guards(objects, "numpy") == []


def test_the_first_result_of_a_unit_stays(objects: Objects) -> None:
    assert records.get_result(objects, "night-1.a") is None
    assert records.put_result(objects, "night-1.a", {"executions": 5})
    assert not records.put_result(objects, "night-1.a", {"executions": 9})
    assert records.get_result(objects, "night-1.a") == {"executions": 5}


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".a", "a" * 101, "a b"])
def test_names_that_are_no_id(objects: Objects, name: str) -> None:
    with pytest.raises(HarnessError, match="no id"):
        records.put_result(objects, name, {})


def test_the_environment_is_the_only_place_of_credentials(objects: Objects) -> None:
    records.join(objects, MINE)
    records.check_clock(objects, "host")
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY", "no secret")
    for entry in objects.list(""):
        assert secret.encode() not in (objects.read(entry.path, 10**6) or b"")
    assert secret not in objects.address


def test_sessions_of_the_ledger_are_read_once_and_in_order(objects: Objects) -> None:
    sessions = [
        {"id": name, "started": at, "per_target": {"torch": {}}, "findings": {}}
        for name, at in (("b", "2"), ("a", "3"), ("c", "1"))
    ]
    for session in sessions:
        assert records.put_session(objects, session)
        assert not records.put_session(objects, session)
    for name, content in (("x", {"id": "other"}), ("y", {"id": "y", "per_target": {"torch": 1}, "findings": {}})):
        objects.create(f"ledger/{name}.json", json.dumps(content).encode())
    assert [session["id"] for session in records.get_sessions(objects, ())] == ["c", "b", "a"]
    assert [session["id"] for session in records.get_sessions(objects, ("a", "b"))] == ["c"]
    assert objects.refused.counts == {"no session of the ledger": 2}


def test_fields_of_other_types_are_left_out_of_a_finding(objects: Objects) -> None:
    good = {"replays": {"runs": 10, "held": 9}, "flaky": True, "guard": ["F8"]}
    bad = {"replays": {"runs": "ten"}, "flaky": "yes", "guard": [""]}
    for data, more in ((b"good", good), (b"bad", bad)):
        objects.create(
            f"findings/{about(data)['id']}/{len(data):08d}-{sha1(data)}.json",
            json.dumps(about(data) | more | {"input": base64.b64encode(data).decode()}).encode(),
        )
    ((fields, data),) = records.get_findings(objects, {})
    assert (data, fields) == (b"bad", about(b"bad"))
    objects = open_store(f"memory://{time.monotonic_ns()}")
    records.put_finding(objects, about(b"good") | good, b"good")
    assert next(records.get_findings(objects, {}))[0] == about(b"good") | good
