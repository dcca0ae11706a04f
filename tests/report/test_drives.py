"""Every report says what its parser lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import fuzz
from harness.report import gather, html, junit, sarif, summary
from harness.report.drives import MOST_TOLD, not_driven
from harness.report.gather import Campaign
from harness.report.text import inert

LACKS = [
    "safe_open(backend=)",
    "numpy.load_file(backend=)",
    "torch.load_file(backend=)",
    "dtype F4",
    "index ...",
    "index (...,)",
]
LINE = (
    "0.8.0 lacks: safe_open(backend=); load_file(backend=); dtype F4; index .... "
    "Not driven: reads by pread, programs with these dtypes, slices by these forms."
)


@pytest.fixture
def old(campaign: Campaign) -> Campaign:
    """The real campaign, on a parser that lacks something."""
    return replace(campaign, sessions=tuple({**session, "lacks": LACKS} for session in campaign.sessions))


def test_a_line_for_each_parser(old: Campaign, campaign: Campaign) -> None:
    assert not_driven(old.sessions * 2) == [LINE]
    assert not_driven(campaign.sessions) == []
    assert campaign.sessions[0]["lacks"] == []
    assert not_driven([{"parser": "1", "lacks": 3}, {}]) == []


def test_every_report_has_the_line(old: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = gather.rows([old])
    assert LINE in html.write(tmp_path, [old], rows, price=None).read_text()
    assert f"\n{inert(LINE, MOST_TOLD)}\n" in summary.summary(rows, [old])
    assert summary.figures([old])[0]["not_driven"] == [LINE]
    assert f'<property name="not driven" value="{LINE}" />' in junit.junit(rows, [old])
    (invocation,) = sarif.sarif(rows, [old])["runs"][0]["invocations"]
    assert invocation["executionSuccessful"]
    assert [(one["level"], one["message"]["text"]) for one in invocation["toolExecutionNotifications"]] == [
        ("note", f"campaign {old.name}: {LINE}")
    ]
    fuzz.report(old.sessions, old.folder)
    assert LINE in capsys.readouterr().out.splitlines()
