"""The live view, drawn from the statuses of eight workers of a real campaign 38 s after its start (statuses.json)."""

from __future__ import annotations

import io
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.live import Live

from harness.engine.campaign.progress import Progress
from harness.engine.ui.dashboard import Dashboard, sparkline
from harness.engine.ui.view import line
from harness.engine.worker.status import Moment, WorkerStatus
from harness.text import count, short

RECORDED = json.loads((Path(__file__).parent / "statuses.json").read_text())

NOW = 1000.0


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still while a state is drawn."""
    monkeypatch.setattr(time, "monotonic", lambda: NOW)


@dataclass(eq=False)
class Worker:
    """A worker's process, as far as it is shown. Like processes, two are never equal."""

    settings: Any
    status: WorkerStatus
    started: float
    last_new: float


def status(entry: dict[str, Any]) -> WorkerStatus:
    """A recorded status with moments, which were not recorded: a slow rise over half a minute."""
    final = WorkerStatus(**entry["status"])
    moments = [
        Moment(
            NOW - ago, final.cpu_seconds, final.executions - 100 * ago, final.edges - ago, final.features,
            final.semantic_features, final.corpus, 1,
        )
        for ago in range(30, -1, -1)
    ]  # fmt: skip
    return WorkerStatus(**entry["status"] | {"moments": moments})


def campaign(workers: int, *, seconds: float = 120.0, runs: int = 0) -> Progress:
    """A campaign with so many workers in the recorded state, repeated where there are more than eight."""
    recorded = [RECORDED["workers"][i % len(RECORDED["workers"])] for i in range(workers)]
    active: Any = [
        Worker(
            settings=SimpleNamespace(target=entry["target"], seed=entry["seed"], memory=Path("/nonexistent")),
            status=status(entry),
            started=NOW - entry["ago"],
            last_new=NOW - 3,
        )
        for entry in recorded
    ]
    progress = Progress(tuple(dict.fromkeys(entry["target"] for entry in recorded)), seconds, runs)
    progress.began = NOW - RECORDED["elapsed"]
    progress.discovery._began = progress.began
    progress.update(active)
    return progress


def draw(progress: Progress, width: int, height: int, *, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, width=width, height=height, legacy_windows=False)
    console.print(Dashboard(progress), end="")
    file.flush()
    return raw.getvalue().decode(encoding).removesuffix("\n").split("\n")


SIZES = [(80, 24), (80, 12), (60, 24), (120, 40), (200, 50), (40, 10)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("workers", [1, 2, 8, 17, 64])
def test_nothing_is_wider_or_higher_than_the_terminal(workers, width, height):
    drawn = [text.rstrip() for text in draw(campaign(workers), width, height)]
    assert len(drawn) <= height - 1
    assert max(map(len, drawn)) < width
    assert drawn[0].startswith("harness fuzz")
    assert any("deserialize" in text for text in drawn)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_tile_tells_the_figures_of_its_worker(width):
    text = "\n".join(draw(campaign(2), width, 24))
    for entry in RECORDED["workers"][:2]:
        recorded = status(entry)
        assert f"╭─ {entry['target']} ─" in text
        for name, figure in (
            ("exec/s", "100"),
            ("execs", short(recorded.executions)),
            ("edges", count(recorded.edges)),
            ("semantic", count(recorded.semantic_features)),
            ("kept", count(recorded.corpus)),
            ("deep", f"{100 * recorded.deep / recorded.executions:.0f} %"),
            ("last new", "3 s"),
        ):
            assert re.search(rf"{name} +{re.escape(figure)} ", text), name
        assert f"{len(recorded.findings)} known, {recorded.rss_mb} MB ─╯" in text
        best = max((s["kept"] / s["uses"], name) for name, s in recorded.operators.items() if s["uses"] >= 20)
        assert re.search(rf"yield +{best[1]} {100 * best[0]:.1f} %", text)


def test_totals_time_left_and_the_curve():
    progress = campaign(8)
    lines = draw(progress, 120, 42)
    assert re.match(r"harness fuzz  38 s  1 min 22 s left  ━", lines[0])
    executions = sum(worker["status"]["executions"] for worker in RECORDED["workers"])
    assert f"{short(executions)} executions" in lines[1]
    assert lines[2].startswith("findings: 0 new")
    assert "Ctrl-C ends it cleanly" in lines[2]
    gained = re.search(r"\+(\d+) discovered", "\n".join(lines))
    assert gained
    assert int(gained[1]) == progress.gained()[-1][1] > 0
    assert any("█" in text for text in lines[3:6])


def test_a_campaign_by_executions_has_no_time_left():
    assert "of 1M executions" in draw(campaign(1, runs=1_000_000), 80, 24)[0]


def test_workers_on_one_target_are_told_apart():
    text = "\n".join(draw(campaign(8), 200, 50))
    assert "─ deserialize #1 ─" in text
    assert "─ deserialize #2 ─" in text


@pytest.mark.parametrize(("width", "across"), [(80, 1), (200, 2)])
def test_many_workers_become_rows_and_those_that_do_not_fit_are_counted(width, across):
    lines = draw(campaign(17), width, 30)
    rows = [re.findall(r"(?:deserialize|safe_open|slices) #\d", text) for text in lines]
    assert sum(map(len, rows)) == 9
    assert max(map(len, rows)) == across
    assert not any("╭" in text for text in lines)
    (more,) = [text for text in draw(campaign(17), 80, 12) if "more workers" in text]
    assert re.fullmatch(r"and \d+ more workers", more.rstrip())


@pytest.mark.parametrize("workers", [2, 17])
def test_numbers_are_never_cut(workers):
    """In a narrow terminal whole figures are left out."""
    progress = campaign(workers)
    wide = set(re.findall(r"\d[\d.,]*[kM]?", "\n".join(draw(progress, 200, 60))))
    narrow = "\n".join(text for text in draw(progress, 50, 24) if not re.search("discovered|more workers", text))
    assert set(re.findall(r"\d[\d.,]*[kM]?", narrow)) <= wide


def test_a_rule_that_does_not_fit_ends_in_an_ellipsis():
    progress = campaign(1)
    (target,) = progress.targets.values()
    target.rules.clear()
    target.rules.update({"unspecified.extra-field": 5, "a" * 90: 1})
    shown = "\n".join(draw(progress, 80, 40))
    assert "unspecified.extra-field" in shown
    assert re.search(r" a{10,}…(\n|$)", shown)


def test_a_tile_without_a_yield_says_so():
    progress = campaign(1)
    progress.active[0].status.operators.clear()
    assert any(re.match(r"│ yield  - +│", line) for line in draw(progress, 80, 40))


def test_a_terminal_without_unicode_gets_ascii():
    lines = draw(campaign(2), 80, 24, encoding="ascii")
    assert any(text.startswith("+- deserialize ---") for text in lines)
    assert all(text.isascii() for text in lines)


def test_without_colour_no_colour_is_sent(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    file = io.StringIO()
    Console(file=file, width=80, height=24, force_terminal=True).print(Dashboard(campaign(2)))
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", file.getvalue())


def test_a_live_display_shows_every_line():
    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=True, color_system=None)
    with Live(console=console, auto_refresh=False) as live:
        live.update(Dashboard(campaign(2)), refresh=True)
        shown = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", file.getvalue()).split("\n")
    assert [text.rstrip() for text in shown] == [text.rstrip() for text in draw(campaign(2), 80, 24)]


def test_names_are_no_markup():
    progress = campaign(2)
    for worker in progress.active:
        worker.settings.target = "[bold]odd"  # type: ignore[misc]
    progress.targets = {"[bold]odd": progress.targets["deserialize"], "[/]": progress.targets["safe_open"]}
    text = "\n".join(draw(progress, 120, 40))
    assert "─ [bold]odd #1 ─" in text
    assert "\n[bold]odd " in text
    assert "\n[/] " in text


def test_a_warning_is_shown():
    progress = campaign(1)
    progress.warning = "cannot write the ledger: No space left on device"
    assert progress.warning in [text.rstrip() for text in draw(progress, 80, 24)]
    assert line(progress).endswith(progress.warning)


@pytest.mark.parametrize("runs", [0, 1_000_000])
def test_work_after_the_workers_is_shown_in_place_of_the_time(runs):
    progress = campaign(1, runs=runs)
    progress.note = "replays: 3 of 20 runs"
    assert line(progress).startswith(f"38 s, {progress.note}; ")
    assert progress.note in draw(progress, 80, 24)[0]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50), st.integers(1, 60), st.integers(1, 5))
def test_curves_have_their_size_and_a_full_last_column_where_they_rise(values, width, height):
    rising = sorted(values)
    lines = sparkline(list(enumerate(rising)), width, height)
    assert [len(text) for text in lines] == [width] * height
    if rising[-1] > rising[0] and width > 1:
        assert [text[-1] for text in lines] == ["█"] * height
