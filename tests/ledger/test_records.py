from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from harness.engine.campaign.discovery import Curve, forget
from harness.errors import HarnessError
from harness.ledger import joined, records, spend


def session(started: str = "2026-01-01T00:00:00+00:00", *, seed: int = 1, edges: int = 120, ids: str = "ab", **other: Any) -> dict[str, Any]:  # fmt: skip
    """A session as campaign.json holds it: one target, from 100 edges to ``edges`` in ten steps."""
    curve = Curve()
    for step in range(11):
        values = dict.fromkeys(("features", "semantic", "corpus"), 10 * step)
        values |= {"executions": 1000 + 900 * step, "edges": 100 + (edges - 100) * step // 10, "signatures": min(step, len(ids))}  # fmt: skip
        curve.take(step * 2.0, step * 1.0, values)
    target = {
        "executions": 10_000, "cpu_seconds": 10.0, "seconds": 20.0, "edges": edges, "features": 100, "semantic_features": 100,
        "corpus": 100, "operators": {"noise": {"uses": 1}}, "curve": curve.points,
        "species": {"edges": {"sampled": 100, "every": 64, "seen": 90, "singletons": 5, "doubletons": 2, "frequencies": [5, 2, 1]}},
    }  # fmt: skip
    return {
        "started": started, "seed": seed, "targets": ["t"], "parser": "0.8.0", "seconds": 21.0, "cpu_seconds": 10.0,
        "executions": 10_000, "per_target": {"t": target}, "new": [ids[:1]],
        "findings": {name: {"count": 2, "target": "t", "signature": name} for name in ids},
    } | other  # fmt: skip


def campaign(folder: Path, *sessions: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "campaign.json").write_text(json.dumps({"format": 1, "sessions": sessions}))
    return folder


def test_a_kept_record_says_what_the_campaign_said(tmp_path: Path) -> None:
    one = session(replay_cpu_seconds=2.5)
    path = records.keep(one, tmp_path / "c", tmp_path / "ledger")
    (kept,) = records.entries(tmp_path / "ledger")
    (told,) = records.entries(campaign(tmp_path / "c", one))
    assert path.stem == kept.id == told.id
    assert kept.targets == told.targets
    target = kept.targets["t"]
    assert len(target.curve) == 11
    assert (target.curve[0].edges, target.levels["edges"]) == (100, 120)
    assert target.species["edges"].counts == (5, 2, 1)
    assert (target.signatures, target.new) == (("a", "b"), ("a",))
    assert (kept.cpu_seconds, kept.spent) == (told.cpu_seconds, told.spent) == (10.0, 12.5)
    assert "noise" not in path.read_text()


def test_a_killed_session_is_read_from_its_campaign_and_kept_by_the_next(tmp_path: Path) -> None:
    first, second = session(), session("2026-01-02T00:00:00+00:00")
    folder = campaign(tmp_path / "c", first, second)
    ledger = tmp_path / "ledger"
    assert len(records.keep_all(folder, ledger)) == 2
    # The engine drops the curve of what has ended; what was kept is not written over.
    forget([first])
    assert len(first["per_target"]["t"]["curve"]) == 2
    (folder / "campaign.json").write_text(json.dumps({"format": 1, "sessions": [first, second]}))
    assert len(records.keep_all(folder, ledger)) == 1
    assert [len(record.targets["t"].curve) for record in records.entries(folder, ledger)] == [11, 11]


def test_sets_are_joined_by_id_and_shards_of_one_second_stay_apart(tmp_path: Path) -> None:
    for number, shard in enumerate((session(seed=1), session(seed=2), session(seed=2, id="other"))):
        records.keep(shard, tmp_path / "c", tmp_path / f"ledger-{number}")
    records.keep(session(seed=1), tmp_path / "c", tmp_path / "ledger-1")
    assert len(records.entries(*(tmp_path / f"ledger-{number}" for number in range(3)))) == 3


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"sessions": 3}', '{"started": "x", "per_target": {"t": 1}}', '{"started": "x", "per_target": 7}', "\ud800"]
)  # fmt: skip
def test_a_damaged_file_is_named_and_the_others_are_read(tmp_path: Path, content: str) -> None:
    records.keep(session(), tmp_path / "c", tmp_path / "ledger")
    bad = tmp_path / "ledger" / "bad.json"
    bad.write_bytes(content.encode("utf-8", "surrogatepass"))
    ledger = records.read(tmp_path / "ledger")
    assert len(ledger.records) == 1
    assert len(ledger.damaged) == 1
    assert ledger.damaged[0].startswith(f"{bad}: ")
    assert bad.read_bytes() == content.encode("utf-8", "surrogatepass")


def test_a_folder_that_was_asked_for_and_holds_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="holds no records"):
        records.read(tmp_path)


def test_what_was_bought_is_what_no_session_before_had(tmp_path: Path) -> None:
    days = [f"2026-01-0{day}T00:00:00+00:00" for day in (1, 2, 3)]
    sessions = [session(days[0], edges=120, ids="ab"), session(days[1], edges=115, ids="bc"), session(days[2], edges=130, ids="a")]  # fmt: skip
    ledger = records.read(campaign(tmp_path / "c", *sessions))
    rows = spend.bought(ledger)["t"]
    # The seeds knew 100.
    assert [row["edges"] for row in rows] == [20, 0, 10]
    assert [row["signatures"] for row in rows] == [2, 1, 0]
    curve = joined.curve(ledger.records, "t")
    assert [curve[0].edges, curve[-1].edges] == [100, 130]
    assert curve[-1].signatures == 3
    assert curve[-1].executions == 2 * 10_000 + curve[10].executions
    assert all(a.executions < b.executions and a.edges <= b.edges for a, b in itertools.pairwise(curve))
    last = spend.marginal(curve, "edges")
    assert last is not None
    assert last.count >= 10
    assert spend.marginal(curve[:1], "edges") is None


def test_a_session_that_got_no_further_than_its_seeds_bought_nothing(tmp_path: Path) -> None:
    short = session()
    short["per_target"]["t"]["curve"] = []
    (row,) = spend.bought(records.read(campaign(tmp_path / "c", short)))["t"]
    assert (row["edges"], row["signatures"]) == (0, 2)


def test_a_month_of_nights_stays_small(tmp_path: Path) -> None:
    curve = Curve()
    for at in range(1, 4000):
        curve.take(at * 7.5, at * 7.5, dict.fromkeys(("edges", "features", "semantic", "corpus", "signatures"), 900 + at // 66) | {"executions": at * 900})  # fmt: skip
    points = curve.points
    assert len(points) <= 120
    assert points[0]["executions"] == 900
    assert points[-1]["executions"] == 3999 * 900
    # The last half has points enough to see how it goes, and so have the first minutes.
    assert sum(point["seconds"] > 15_000 for point in points) >= 15
    assert sum(point["seconds"] < 600 for point in points) >= 10
    night = session()
    night["per_target"]["t"]["curve"] = points
    assert records.keep(night, tmp_path / "c", tmp_path / "ledger").stat().st_size < 15_000
