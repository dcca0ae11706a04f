"""What became of findings of older releases, and the defects that people recognise in them."""

from __future__ import annotations

from typing import Any

import pytest

from harness.bench import releases
from harness.bench.releases import Defect
from harness.triage.bisect import order


def _row(signature: str, *, last: str, gone: str, fate: str = releases.FIXED) -> dict[str, Any]:
    return {
        "id": f"0.2.8/{signature}", "release": "0.2.8", "signature": signature, "summary": "", "fate": fate, "last": last,
        "gone": gone,
    }  # fmt: skip


def test_a_defect_is_found_by_a_finding_that_was_gone_in_its_release(monkeypatch: pytest.MonkeyPatch) -> None:
    holes = Defect("holes", "0.3.1", "PR 206", "holes are accepted", ("*|layout.*",), "never met")
    panics = Defect("panics", "0.3.3", "PR 209", "a panic", ("*|panic|*",), "never met")
    monkeypatch.setattr(releases, "defects", lambda: (holes, panics))
    rows = [
        _row("deserialize|differential|layout.hole|a", last="0.3.0", gone="0.3.1"),
        # Of another release, of none, and still open.
        _row("deserialize|panic|panic|b", last="0.3.3", gone="0.4.0"),
        _row("deserialize|contract|raise|c", last="0.3.0", gone="0.3.1"),
        _row("deserialize|differential|layout.hole|d", last="0.8.0", gone="", fate=releases.OPEN),
    ]
    found = releases.summary(rows)
    assert found["found"] == 1
    assert found["unclaimed"] == ["deserialize|contract|raise|c", "deserialize|panic|panic|b"]
    assert releases.lines(found) == [
        "0.3.1  PR 206     holes are accepted: found in 0.2.8",
        "0.3.3  PR 209     a panic: missed: never met",
    ]


def test_the_fix_may_lie_between_two_releases_that_are_fuzzed() -> None:
    row = _row("a", last="0.4.0", gone="0.4.3")
    assert [release for release in ("0.4.0", "0.4.1", "0.4.3", "0.4.5") if releases._window(row, release)] == [
        "0.4.1",
        "0.4.3",
    ]


def test_the_committed_defects_are_of_different_names_and_of_later_releases() -> None:
    defects = releases.defects()
    assert len({one.name for one in defects}) == len(defects) >= 2 * releases.TARGET
    assert {one.thread.split()[0] for one in defects} <= {"PR", "issue"}
    oldest = order(releases.RELEASES[0])
    assert [one.name for one in defects if order(one.fixed) <= oldest] == []
