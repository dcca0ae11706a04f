from __future__ import annotations

import json
import re
from dataclasses import replace

from harness.findings import crashes
from harness.ledger import joined, records
from harness.report import gather
from harness.report.gather import Campaign
from harness.report.summary import MOST_BYTES, sparkline, summary
from harness.report.text import inert


def tables(text: str) -> list[list[str]]:
    """Rows of the tables, each cut at the bars that are not escaped."""
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]


def test_in_one_glance_what_is_new(campaign: Campaign):
    text = summary(gather.rows([campaign]), [campaign])
    assert text.startswith(f"# {len(campaign.findings)} new findings\n")
    for stored in campaign.findings:
        assert f"<code>harness repro {stored.id}</code>" in text
    (row,) = [row for row in tables(text) if row[0].strip() == "deserialize"]
    assert row[1].strip() == f"{campaign.total('executions'):,.0f}"
    assert row[-2].strip() == str(len(campaign.findings))
    assert "```mermaid\nxychart-beta\n" in text


def test_nothing_new_is_said_first(campaign: Campaign, monkeypatch):
    monkeypatch.delenv("HARNESS_HOME")
    text = summary(gather.rows([campaign]), [campaign])
    assert text.startswith("# Nothing new\n")
    assert f"{len(campaign.findings)} known findings met again" in text


def test_without_a_campaign_it_is_what_is_filed():
    filed = crashes.crashes()
    open_ones = sum(crash.status == crashes.OPEN for crash in filed)
    assert summary(gather.rows([]), []).startswith(
        f"# Filed findings\n\n**{open_ones} open**, {len(filed) - open_ones} "
    )


def test_known_findings_are_told_by_their_defects(night: Campaign):
    every = gather.rows([night])
    met = sum(bool(row.defect and row.seen) for row in every)
    text = summary(every, [night])
    (row,) = [row for row in tables(text) if "critical" in row[0]]
    assert "## Defects met again\n" in text
    title = inert("<b> met-again `writes` the buffer of the base array")
    assert [cell.strip() for cell in row] == [
        "critical",
        title,
        f"<code>{inert('bindings/python/src/lib.rs:100')}</code>",
        "yes",
        str(met),
    ]
    filed = summary(gather.rows([]), [])
    assert "## Defects\n" in filed
    assert [row[-1].strip() for row in tables(filed) if "critical" in row[0]] == ["3", "3"]


def test_no_text_of_an_input_breaks_the_page(hostile: Campaign):
    text = summary(gather.rows([hostile]), [hostile])
    text.encode()
    widths = [len(row) for row in tables(text)]
    # A table's rows have as many cells as its head.
    assert [len(row) for row in tables(text) if "layout.hole" in row[0]] == [5]
    assert set(widths) == {9, 5, 3}
    assert "<script" not in text
    assert "@all" not in text
    assert text.count("```") == 2
    assert [row[1].strip() for row in tables(text) if len(row) == 3][2:] == ["left out", "not installed"]
    assert "The harness itself failed** on 2 inputs" in text


def test_the_picture_is_the_curve_of_the_ledger(hostile: Campaign):
    text = summary(gather.rows([hostile]), [hostile])
    (line,) = re.findall(r"  line \[(.*)\]", text)
    values = [int(value) for value in line.split(", ")]
    assert (values[0], values[20], values[-1], len(values)) == (0, 0, 40, 41)
    assert '"seconds" 0 --> 60' in text
    (row,) = [row for row in tables(text) if row[0].strip() == "deserialize"]
    assert row[6].strip() == "▁█"


def test_what_more_would_bring_stands_below_the_campaign_where_the_curve_tells(hostile: Campaign):
    assert "What more of the same would bring" not in summary(
        gather.rows([hostile]), [hostile]
    )  # two points tell nothing
    session = dict(hostile.sessions[0])
    curve = [
        {
            "seconds": n,
            "cpu_seconds": n,
            "executions": 1000 * n,
            "edges": 60 + 9 * n.bit_length(),
            "signatures": n.bit_length(),
        }
        for n in range(1, 60)
    ]
    session["per_target"] = {"deserialize": session["per_target"]["deserialize"] | {"curve": curve}}
    (hostile.folder / "campaign.json").write_text(json.dumps({"format": 1, "sessions": [session]}))
    (record,) = records.entries(hostile.folder)
    told = joined.forecast([record], "deserialize")
    assert told is not None
    text = summary(gather.rows([hostile]), [gather.campaign(hostile.folder)])
    (line,) = [line for line in text.splitlines() if line.startswith("- **deserialize**: ")]
    assert all(inert(sentence, 1200) in line for sentence in told.words())


def test_a_page_that_is_too_long_is_cut_at_a_line(hostile: Campaign):
    sessions = tuple(
        hostile.sessions[0] | {"per_target": {f"{'t' * 250}{n}": {"executions": 1} for n in range(4000)}}
        for _ in range(1)
    )
    text = summary(gather.rows([hostile]), [replace(hostile, sessions=sessions)])
    assert len(text.encode()) <= MOST_BYTES
    assert text.endswith("it would be too long to be shown.\n")
    assert "\n| " in text


def test_a_line_of_bars():
    assert sparkline([]) == sparkline([3]) == ""
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline(list(range(100))) == "▁▁▂▂▃▃▄▄▅▅▆▆▇▇██"
