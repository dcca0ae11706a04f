"""What the report is made of, without a browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli.main import group
from harness.engine.worker.tally import STAGES
from harness.errors import HarnessError
from harness.findings import crashes, store
from harness.findings.crashes import Crash
from harness.findings.severity import SEVERITIES
from harness.foreign_json import number
from harness.ledger import joined, records
from harness.report import figures, gather, html, outlook, rows, words
from harness.report.figures import Ahead, Growth
from harness.report.gather import Campaign
from harness.report.junit import junit
from harness.report.sarif import sarif
from harness.report.summary import figures as summarised
from harness.report.summary import summary
from harness.text import duration
from tests.report.conftest import HOSTILE_ID, SCRIPTED


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


def entry(day: int, findings: str = "", **targets: dict[str, Any]) -> dict[str, Any]:
    """A session; the letters of ``findings`` are those of its first target."""
    return {
        "started": f"2026-01-{day:02}T00:00:00+00:00",
        "per_target": targets,
        "targets": list(targets),
        "findings": {name: {"target": next(iter(targets)), "count": 1} for name in findings},
    }


def spent(executions: int, *points: dict[str, float], **more: Any) -> dict[str, Any]:
    return {"executions": executions, "cpu_seconds": executions / 100, "curve": list(points), **more}


def kept(*campaigns: Campaign) -> tuple[list[list[records.Record]], list[str]]:
    return records.of_sessions((one.folder, one.sessions) for one in campaigns)


def test_foreign_text_is_printable_and_turns_nothing_around():
    text = words.shown(SCRIPTED)
    assert text.isprintable()
    assert "\\x202e" in text
    assert "\\xd800" in text
    assert "\\x00" in text
    assert words.shown("a tensor, שלום") == "a tensor, שלום"
    assert len(words.cut("x" * 500, 40)) == 40


@pytest.mark.parametrize("value", [None, "12", "<b>", [1], {}, True, float("nan"), float("inf"), 10**400])
def test_what_is_no_number_counts_nothing(value: object):
    assert number(value) == 0


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0, "0 s"), (0.276, "0.28 s"), (45, "45 s"), (600, "10 min"), (36000, "10 h"), (864000, "10 days")],
)
def test_durations(seconds: float, says: str):
    assert duration(seconds) == says


def test_sessions_of_one_campaign_go_on_from_each_other(tmp_path: Path):
    first = entry(1, "ab", slices=spent(100, point(1, 50, 1, 10), point(2, 100, 2, 20)))
    second = entry(2, "bcd", slices=spent(100, point(1, 60, 1, 19), point(2, 100, 3, 30)))
    run = gather.campaign(ledger(tmp_path / "c", first, second))
    drive = run.drives()["slices"]
    assert (drive.sums["executions"], drive.sums["cpu_seconds"]) == (200, 2)
    # b was found twice: four in all.
    text = html.page([run], tmp_path)
    assert "All targets: 4 findings after 2 CPU-seconds" in text
    assert "slices: 4 findings after 200 executions" in text
    assert "slices: 30 edges after 200 executions" in text


def test_replays_of_findings_are_spent_too(tmp_path: Path):
    session = entry(1, slices=spent(3000, point(1, 3000, 0, 10))) | {"cpu_seconds": 30, "replay_cpu_seconds": 15}
    run = gather.campaign(ledger(tmp_path / "c", session))
    text = html.page([run], tmp_path, price=80)
    assert "0 executions in 45 s of CPU time" in text
    assert "<dt>CPU time</dt><dd>45 s</dd>" in text
    assert "<dt>Spent</dt><dd>1</dd>" in text
    assert "for 15 s of CPU time; the sums above include it" in text
    assert "in 45 CPU-seconds" in summary([], [run])
    (told,) = summarised([run])
    assert (told["cpu_seconds"], told["replay_cpu_seconds"]) == (45, 15)


def test_a_ledger_of_nonsense_is_read_as_far_as_it_makes_sense(tmp_path: Path):
    strange = {
        "per_target": {"slices": {"executions": 5, "stages": [], "operators": {"x": 3}, "curve": [1, {}]}, "x": 7}
    }
    run = gather.campaign(ledger(tmp_path / "c", strange, {"versions": "1", "targets": 3, "too_wide": [5]}))
    assert [name for name, drive in run.drives().items() if drive.sums["executions"]] == ["slices"]
    assert "slices" in html.page([run], tmp_path)
    # Every form reads it by the same rules.
    assert "| slices | 5 |" in summary([], [run])
    assert "executions: 5" in junit([], [run])
    (invocation,) = sarif([], [run])["runs"][0]["invocations"]
    (told,) = (one["message"]["text"] for one in invocation["toolExecutionNotifications"])
    assert told.startswith("campaign c: target x: no execution: ")


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


def test_what_is_expected_is_dashed_from_the_end_on():
    run = [(10.0, 1.0), (100.0, 5.0)]
    picture = figures.growth(Growth("t", [run], "edges", "executions", [Ahead(100, 0, 2, 4), Ahead(900, 1, 5, 20)]))
    assert picture.count('class="ahead"') == picture.count('class="ahead-line"') == 1
    assert "6 to 25 are expected after 1,000" in picture


def test_a_run_without_executions_is_no_figure_and_a_name_no_markup():
    assert figures.growth(Growth("t", [[(0.0, 1.0)]], "edges", "executions", [])) == ""
    picture = figures.growth(Growth('"><b>', [[(1.0, 1.0), (9.0, 2.0)]], "edges", "executions", []))
    assert "<b>" not in picture


def test_each_severity_and_each_stage_has_a_colour_in_every_scheme():
    style = (Path(str(html.__file__)).parent / "report.css").read_text()
    for letter, names in (("s", SEVERITIES), ("t", STAGES)):
        for place in range(len(names)):
            assert style.count(f"--{letter}{place}: #") == 3
            assert f".{letter}{place} {{" in style


def test_bars_stay_inside_themselves():
    assert 'width="100.00"' in figures.bar(7)
    assert 'width="0.00"' in figures.bar(-1)


def test_rows_are_of_campaign_and_crashes_each_once(night: Campaign, home: Path):
    found = rows.rows([night], home)
    filed = {crash.id: crash for crash in crashes.crashes()}
    assert sorted(shown.row.id for shown in found) == sorted({*(stored.id for stored in night.findings), *filed})
    assert [shown.state for shown in found] == sorted((shown.state for shown in found), key=list(rows.STATES).index)
    new = [shown for shown in found if shown.state == rows.NEW]
    assert [shown.rank for shown in new] == sorted(shown.rank for shown in new)
    for shown in found:
        # The filed input is the minimised one.
        data = (
            filed[shown.row.id].data()
            if shown.row.id in filed
            else next(s.data() for s in night.findings if s.id == shown.row.id)
        )
        assert base64.b64decode(shown.data.partition(",")[2]) == data
        met = [stored for stored in night.findings if stored.id == shown.row.id]
        assert shown.count == sum(store.count(stored, night.sessions) for stored in met)
    assert {shown.state for shown in found} == {rows.NEW, rows.OPEN}


def test_two_campaigns_are_one_row_each_finding(night: Campaign, home: Path):
    once, twice = rows.rows([night], home), rows.rows([night, night], home)
    assert [(shown.row.id, 2 * shown.count) for shown in once] == [(shown.row.id, shown.count) for shown in twice]


def test_what_does_not_hold_is_marked(night: Campaign, home: Path):
    stored = next(one for one in night.findings if one.id == HOSTILE_ID)
    shaky = replace(stored, fields=stored.fields | {"flaky": True, "replays": {"runs": 10, "held": 3}})
    session = {"findings": {HOSTILE_ID: {"first_seconds": 0.75}}}
    (shown,) = (one for one in rows.rows([Campaign("c", home, (session,), (shaky,))], home) if one.row.id == HOSTILE_ID)
    assert (shown.row.flaky, shown.replays, shown.held, shown.seconds) == (True, 10, 3, 0.75)


def test_a_large_input_stays_outside(night: Campaign, home: Path, tmp_path: Path):
    stored = next(one for one in night.findings if one.id == HOSTILE_ID)
    (tmp_path / store.INPUT).write_bytes(b"x" * (rows.EMBEDDED + 1))
    large = replace(stored, folder=tmp_path)
    (shown,) = (one for one in rows.rows([Campaign("c", home, (), (large,))], tmp_path) if one.row.id == HOSTILE_ID)
    assert (shown.data, shown.links, shown.size) == ("", (("input", store.INPUT),), rows.EMBEDDED + 1)


def test_the_forecast_is_that_of_the_ledger(night: Campaign):
    (run,), damaged = kept(night)
    assert damaged == []
    told = outlook.outlook([run])
    assert told is not None
    (record,) = run
    made = joined.forecast(run, "deserialize")
    assert made is not None
    (line,) = told.tables["edges"]
    assert line.hour == made.hours(1)
    assert line.known == record.targets["deserialize"].levels["edges"]
    ahead = told.ahead("deserialize", "edges")
    assert [one.middle for one in ahead] == sorted(one.middle for one in ahead)
    assert all(one.low <= one.middle <= one.high for one in ahead)
    # Of one target alone, all together are that target, over CPU time.
    together = told.ahead_together("edges")
    assert [one.low for one in together] == pytest.approx([one.low for one in ahead], abs=1)
    assert [one.high for one in together] == pytest.approx([one.high for one in ahead], abs=1)


def test_a_curve_without_a_point_in_its_last_half_is_too_short_to_tell_of_returns(tmp_path: Path):
    points = [point(1, 10, 0, 100), point(2, 20, 0, 130), point(3, 30, 0, 150), point(4, 900, 0, 190)]
    runs, _ = kept(gather.campaign(ledger(tmp_path / "c", entry(1, slices=spent(900, *points)))))
    told = outlook.outlook(runs)
    assert told is not None
    assert [line.returns for line in told.tables["edges"]] == ["too few to tell"]


def test_without_a_curve_there_is_no_forecast(tmp_path: Path):
    runs, damaged = kept(gather.campaign(ledger(tmp_path / "c", entry(1, slices={"executions": 5}))))
    assert ([len(run) for run in runs], damaged) == ([1], [])
    assert outlook.outlook(runs) is None


def test_of_several_campaigns_the_one_that_executed_a_target_most_is_told(tmp_path: Path):
    def steps(edges: int) -> dict[str, Any]:
        return spent(1000, *(point(n, 100 * n, 0, 100 + edges * n.bit_length()) for n in range(1, 11)))

    once = gather.campaign(ledger(tmp_path / "once", entry(1, slices=steps(9))))
    twice = gather.campaign(ledger(tmp_path / "twice", entry(2, slices=steps(5)), entry(3, slices=steps(6))))
    runs, _ = kept(once, twice)
    told = outlook.outlook(runs)
    assert told is not None
    (line,) = told.tables["edges"]
    assert line.known == 100 + 6 * 4
    assert told.forecasts["slices"].executions == 2000


def test_a_target_of_which_too_little_is_known_took_its_time(tmp_path: Path):
    long = spent(1000, *(point(n, 100 * n, n.bit_length(), 100 + 9 * n) for n in range(1, 11)))
    run = gather.campaign(
        ledger(tmp_path / "c", entry(1, "abcd", slices=long, shards={"executions": 5, "cpu_seconds": 30}))
    )
    runs, _ = kept(run)
    told = outlook.outlook(runs)
    assert told is not None
    assert list(told.forecasts) == ["slices"]
    assert told.cpu_seconds == 40
    assert told.sentence.startswith("As much time again (40 s of CPU), shared alike, would bring ")
    assert told.sentence.endswith("; of 1 target too little is known to tell.")
    # As much again is as much again for each of them.
    assert told.ahead_together("signatures")[2].x == 40
    assert "for another 1k executions" in told.attacker


def test_sessions_on_another_parser_are_not_what_a_forecast_says_again(tmp_path: Path):
    def steps(executions: int) -> dict[str, Any]:
        curve = (point(n, executions * n // 10, n.bit_length(), 100 + 9 * n.bit_length()) for n in range(1, 11))
        return spent(executions, *curve)

    before, now = entry(1, "abcd", slices=steps(100_000)), entry(2, "abcd", slices=steps(10_000))
    alone, both = (
        outlook.outlook(kept(gather.campaign(ledger(tmp_path / name, *entries)))[0])
        for name, entries in (
            ("alone", [now | {"parser": "b"}]),
            ("both", [before | {"parser": "a"}, now | {"parser": "b"}]),
        )
    )
    assert alone is not None
    assert both is not None
    assert alone.sentence.startswith("As much time again (1 min 40 s of CPU), shared alike, would bring ")
    assert (both.sentence, both.attacker, both.cpu_seconds) == (alone.sentence, alone.attacker, 100)


def test_what_a_campaign_forgot_of_an_old_session_is_in_the_ledger(
    night: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    whole = joined.curve(kept(night)[0][0], "deserialize")
    thin = json.loads(json.dumps(night.sessions[-1]))
    ends = thin["per_target"]["deserialize"]["curve"]
    thin["per_target"]["deserialize"]["curve"] = [ends[0], ends[-1]]
    forgetful = gather.campaign(ledger(tmp_path / "c", thin))
    assert len(joined.curve(kept(forgetful)[0][0], "deserialize")) == 2
    records.keep(night.sessions[-1], night.folder)
    assert joined.curve(kept(forgetful)[0][0], "deserialize") == whole


def test_the_command_writes_a_folder_or_a_file(night: Campaign, home: Path):
    run = CliRunner()
    for place, page in (("build/pages", "build/pages/index.html"), ("one.html", "one.html")):
        result = run.invoke(
            group, ["report", "--html", str(home / place), "--campaign", str(night.folder)], standalone_mode=False
        )
        assert result.exception is None
        assert result.output == f"{home / page}: {(home / page).stat().st_size} bytes\n"
        assert "new findings in safetensors" in (home / page).read_text()
    # Without a name it lies beside the campaigns, and is of the latest; other forms go with it, and are of the same.
    result = run.invoke(
        group, ["report", "--html", "--junit", str(home / "junit.xml"), "--json"], standalone_mode=False
    )
    assert result.return_value == 0
    assert "new findings in safetensors" in (home / "build/report/index.html").read_text()
    assert '<testsuite name="night"' in (home / "junit.xml").read_text()
    told = json.loads(result.output)
    assert [one["name"] for one in told["campaigns"]] == ["night"]
    assert HOSTILE_ID in [one["id"] for one in told["findings"]]


@pytest.fixture
def filed() -> Crash:
    """A finding of this repository."""
    return next(crash for crash in crashes.crashes() if crash.status == crashes.OPEN)


def test_what_is_filed_makes_a_page_without_any_campaign(filed: Crash, project: Path):
    text = html.page([], project)
    assert "Findings filed against safetensors" in text
    assert "No filed finding is open." in text
    shutil.copytree(filed.folder, project / "crashes" / filed.id)
    text = html.page([], project)
    assert f"<dd>first on {filed.found['date'][:10]}" in text
    assert "<dt>Filed and open</dt><dd>1</dd>" in text
    # Of campaigns nothing is said where there is none.
    assert not re.search("th(is|ese) campaign|CPU time|Known, seen again", text)


@pytest.mark.parametrize("arguments", [["--price", "1"], ["--html", "out", "--campaign", "none"]])
def test_usage_errors(project: Path, arguments: list[str]):
    result = CliRunner().invoke(group, ["report", *arguments], standalone_mode=False)
    assert isinstance(result.exception, HarnessError)
    assert result.exception.hint
