"""What the report is made of, without a browser."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli.main import group
from harness.errors import HarnessError
from harness.report import figures, html, rows, sessions, words
from harness.report.figures import Growth
from harness.triage import crashes, store
from tests.report.conftest import HOSTILE


def point(seconds: float, executions: int, signatures: int, edges: int = 0) -> dict[str, float]:
    return {
        "seconds": seconds,
        "cpu_seconds": executions / 100,
        "executions": executions,
        "edges": edges,
        "signatures": signatures,
    }


def ledger(folder: Path, *entries: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "campaign.json").write_text(json.dumps({"format": 1, "sessions": list(entries)}))
    return folder


def entry(**targets: dict[str, Any]) -> dict[str, Any]:
    return {"per_target": targets, "targets": list(targets)}


def spent(executions: int, *points: dict[str, float], **more: Any) -> dict[str, Any]:
    return {"executions": executions, "cpu_seconds": executions / 100, "curve": list(points), **more}


def test_foreign_text_is_printable_and_turns_nothing_around():
    text = words.shown(HOSTILE)
    assert text.isprintable()
    assert "\\u202e" in text
    assert "\\ud800" in text
    assert "\\x00" in text
    assert words.shown("a tensor, שלום") == "a tensor, שלום"
    assert len(words.cut("x" * 500, 40)) == 40


@pytest.mark.parametrize("value", [None, "12", "<b>", [1], {}, True, float("nan"), float("inf"), 10**400])
def test_what_is_no_number_counts_nothing(value: object):
    assert words.number(value) == 0


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0, "0 s"), (0.276, "0.28 s"), (45, "45 s"), (600, "10 min"), (36000, "10 h"), (864000, "10 days")],
)
def test_durations(seconds: float, says: str):
    assert words.duration(seconds) == says


def test_sessions_of_one_campaign_go_on_from_each_other(tmp_path: Path):
    first = entry(slices=spent(100, point(1, 50, 1, 10), point(2, 100, 2, 20)))
    second = entry(slices=spent(100, point(1, 60, 1, 19), point(2, 100, 4, 30)))
    run = sessions.read(ledger(tmp_path / "c", first, second))
    curve = run.curve("slices")
    assert [(at["executions"], at["edges"], at["signatures"]) for at in curve] == [
        (50, 10, 1), (100, 20, 2), (160, 20, 2), (200, 30, 4),
    ]  # fmt: skip
    figures = sessions.by_target([run])["slices"]
    assert (figures.sums["executions"], figures.sums["cpu_seconds"]) == (200, 2)


def test_targets_that_take_turns_are_put_together_by_the_clock(tmp_path: Path):
    one = spent(200, point(1, 100, 1), point(5, 200, 3))
    other = spent(100, point(3, 100, 2))
    run = sessions.read(ledger(tmp_path / "c", entry(slices=one, shards=other)))
    assert [(at["cpu_seconds"], at["signatures"]) for at in sessions.together(run, ["slices", "shards"])] == [
        (1, 1), (2, 3), (3, 5),
    ]  # fmt: skip


def test_a_ledger_of_nonsense_is_read_as_far_as_it_makes_sense(tmp_path: Path):
    strange = {
        "per_target": {"slices": {"executions": 5, "stages": [], "operators": {"x": 3}, "curve": [1, {}]}, "x": 7}
    }
    run = sessions.read(ledger(tmp_path / "c", strange, [], {"versions": "1"}))  # type: ignore[arg-type]
    assert list(sessions.by_target([run])) == ["slices"]
    assert "slices" in html.page([run.folder], tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sessions": 1}'])
def test_a_damaged_ledger_is_named(tmp_path: Path, text: str):
    (tmp_path / "campaign.json").write_text(text)
    with pytest.raises(HarnessError, match=r"campaign\.json is no ledger"):
        sessions.read(tmp_path)


def test_one_run_is_a_line_and_several_are_a_band_with_their_median():
    runs = [[(10.0, 1.0), (1000.0, 5.0)], [(10.0, 2.0), (1000.0, 9.0)], [(10.0, 3.0), (900.0, 30.0)]]
    one, several = Growth("t", runs[:1], "edges", "executions", []), Growth("t", runs, "edges", "executions", [])
    assert 'class="band"' not in figures.growth(one)
    picture = figures.growth(several)
    assert picture.count('class="run"') == 3
    assert picture.count('class="line"') == picture.count('class="band"') == 1
    # Where the shortest run ends, the others have not had their last point yet.
    assert several.last == (900, 2)
    assert several.table(2)[-1] == (900, 1, 2, 30)
    assert "t: 2 edges after 900 executions; 3 runs" in picture


def test_a_run_without_executions_is_no_figure_and_a_name_no_markup():
    assert figures.growth(Growth("t", [[(0.0, 1.0)]], "edges", "executions", [])) == ""
    picture = figures.growth(Growth('"><b>', [[(1.0, 1.0), (9.0, 2.0)]], "edges", "executions", []))
    assert "<b>" not in picture


def test_bars_stay_inside_themselves():
    assert 'width="100.00"' in figures.bar(7)
    assert 'width="0.00"' in figures.bar(-1)


def test_rows_are_of_campaign_and_crashes_each_once(home: Path, campaign: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_HOME", str(home))
    filed = crashes.crashes()
    found = rows.rows([sessions.read(campaign)], filed, home)
    ids = [row.id for row in found]
    assert sorted(ids) == sorted({*(stored.id for stored in store.findings(campaign)), *(crash.id for crash in filed)})
    assert [row.state for row in found] == sorted((row.state for row in found), key=list(rows.STATES).index)
    new = [row for row in found if row.state == rows.NEW]
    assert [row.rank for row in new] == sorted(row.rank for row in new)
    stored = store.findings(campaign)[0]
    row = next(row for row in found if row.id == stored.id)
    assert base64.b64decode(row.data.partition(",")[2]) == (
        row_crash.data() if (row_crash := crashes.find(stored.signature)) else stored.data()
    )
    assert row.count == stored.count


def test_two_campaigns_are_one_row_each_finding(home: Path, campaign: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_HOME", str(home))
    run = sessions.read(campaign)
    once, twice = (rows.rows(runs, [], home) for runs in ([run], [run, run]))
    assert [(row.id, 2 * row.count) for row in once] == [(row.id, row.count) for row in twice]


def test_what_does_not_hold_is_marked(home: Path, campaign: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_HOME", str(home))
    run = sessions.read(campaign)
    seen = {"hostile-12345678": {"flaky": True, "replays": {"runs": 10, "held": 3}, "first_seconds": 0.75}}
    run.sessions.append({"findings": seen})
    row = next(row for row in rows.rows([run], [], home) if row.id == "hostile-12345678")
    assert (row.flaky, row.replays, row.held, row.seconds) == (True, 10, 3, 0.75)


def test_the_command_writes_a_folder_or_a_file(home: Path, campaign: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_HOME", str(home))
    run = CliRunner()
    for place, page in (("build/pages", "build/pages/index.html"), ("one.html", "one.html")):
        result = run.invoke(
            group, ["report", "--html", str(home / place), "--campaign", str(campaign)], standalone_mode=False
        )
        assert result.output == f"page: {home / page}\n"
        assert "new findings in safetensors" in (home / page).read_text()
    # Without a name it lies beside the campaigns, and is of the latest.
    assert run.invoke(group, ["report", "--html"], standalone_mode=False).return_value == 0
    assert (home / "build/report/index.html").is_file()


def test_what_is_filed_makes_a_page_without_any_campaign(project: Path):
    text = html.page([], project)
    assert "What is filed against safetensors" in text
    assert "No filed finding is open." in text


@pytest.mark.parametrize("arguments", [["--campaign", "x"], ["--price", "1"], ["--html", "out", "--campaign", "none"]])
def test_usage_errors(project: Path, arguments: list[str]):
    result = CliRunner().invoke(group, ["report", *arguments], standalone_mode=False)
    assert isinstance(result.exception, HarnessError)
    assert result.exception.hint
