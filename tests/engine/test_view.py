"""The live view, drawn from what eight workers of a real campaign had to say 38 s after its start (statuses.json)."""

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

from harness.engine.campaign.progress import Progress
from harness.engine.ui import drawing
from harness.engine.ui.dashboard import Picture
from harness.engine.ui.trail import Trail
from harness.engine.ui.view import View, in_ci, line

RECORDED = json.loads((Path(__file__).parent / "statuses.json").read_text())

NOW = 1000.0


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time does not go on while a state is drawn."""
    monkeypatch.setattr(time, "monotonic", lambda: NOW)


def campaign(workers: int, *, seconds: float = 120.0, runs: int = 0) -> tuple[Progress, Trail]:
    """A campaign with so many workers in the state that was recorded, again and again where there are more than eight."""
    recorded = [RECORDED["workers"][i % len(RECORDED["workers"])] for i in range(workers)]
    now = NOW
    active: Any = [
        SimpleWorker(
            settings=SimpleNamespace(target=entry["target"], seed=entry["seed"], memory=Path("/nonexistent")),
            status=entry["status"],
            engine=entry["engine"],
            started=now - entry["ago"],
        )
        for entry in recorded
    ]
    progress = Progress(tuple(dict.fromkeys(entry["target"] for entry in recorded)), seconds, runs)
    progress.began = now - RECORDED["elapsed"]
    progress.update(active)
    trail = Trail()
    reached = {name: target.edges + target.semantic for name, target in progress.targets.items()}
    for second in range(int(RECORDED["elapsed"])):
        # How it came to this is not recorded: a slow rise stands in for it.
        past = {name: count - (38 - second) for name, count in reached.items()}
        trail.see(now - 38 + second, second, past, active)
    return progress, trail


@dataclass(eq=False)
class SimpleWorker:
    """What the view looks at of a worker's process; told from others by being itself, as processes are."""

    settings: Any
    status: dict[str, Any]
    engine: dict[str, int]
    started: float


def draw(progress: Progress, trail: Trail, width: int, height: int, *, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, width=width, height=height, legacy_windows=False)
    console.print(Picture(progress, trail), end="")
    file.flush()
    return raw.getvalue().decode(encoding).split("\n")


SIZES = [(80, 24), (80, 12), (60, 24), (120, 40), (200, 50), (40, 10)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("workers", [1, 2, 8, 17, 64])
@pytest.mark.usefixtures("still")
def test_nothing_is_wider_or_higher_than_the_terminal_and_no_row_is_wrapped(workers, width, height):
    progress, trail = campaign(workers)
    picture = Picture(progress, trail)
    planned = [text.plain.rstrip() for text in picture.lines(width, height)]
    drawn = [text.rstrip() for text in draw(progress, trail, width, height)]
    assert len(drawn) <= height - 1
    assert max(map(len, drawn)) <= width
    # What was laid out is what is seen: rich wrapped nothing.
    assert drawn == planned


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.usefixtures("still")
def test_a_tile_says_what_its_worker_does(width):
    progress, trail = campaign(2)
    text = "\n".join(draw(progress, trail, width, 24))
    for worker in RECORDED["workers"][:2]:
        status = worker["status"]
        assert f"╭─ {worker['target']} ─" in text
        edges = status["engine"]["cov"] - status["semantic_features"]
        assert f"│ {edges} edges  {status['semantic_features']} semantic" in text
        assert f"│ {status['engine']['corp']} kept  last new " in text
        assert f"{100 * status['deep'] / status['executions']:.0f} % deep" in text
        assert f"{len(status['findings'])} known  {status['rss_mb']} MB" in text
        best = max(
            (stats["kept"] / stats["uses"], name) for name, stats in status["operators"].items() if stats["uses"] >= 20
        )
        assert f"yield  {best[1]} {100 * best[0]:.1f} %" in text


@pytest.mark.usefixtures("still")
def test_totals_time_left_and_the_curve(monkeypatch):
    progress, trail = campaign(8)
    lines = draw(progress, trail, 120, 40)
    assert re.match(r"safetensors-harness   38 s   1 min 22 s left   Ctrl-C ends it cleanly   ━", lines[0])
    executions = sum(worker["status"]["executions"] for worker in RECORDED["workers"])
    assert f"{drawing.count(executions)} executions" in lines[1]
    assert lines[2].startswith("findings: 0 new")
    gained = re.search(r"\+(\d+) discovered", "\n".join(lines))
    assert gained
    assert int(gained[1]) == trail.curve[-1][1] > 0
    assert any("⣿" in text for text in lines[3:6])


@pytest.mark.usefixtures("still")
def test_a_campaign_by_executions_has_no_time_left():
    progress, trail = campaign(1, runs=1_000_000)
    assert "of 1.0M executions" in draw(progress, trail, 80, 24)[0]


@pytest.mark.usefixtures("still")
def test_workers_on_one_target_are_told_apart():
    progress, trail = campaign(8)
    text = "\n".join(draw(progress, trail, 200, 50))
    assert "─ deserialize #1 ─" in text
    assert "─ deserialize #2 ─" in text


@pytest.mark.usefixtures("still")
def test_many_workers_become_rows_and_those_that_do_not_fit_are_counted():
    progress, trail = campaign(17)
    lines = draw(progress, trail, 80, 40)
    assert sum(text.startswith(("deserialize #", "safe_open #", "slices #")) for text in lines) == 9
    assert not any("╭" in text for text in lines)
    (more,) = [text for text in draw(progress, trail, 80, 12) if "more workers" in text]
    assert re.fullmatch(r"and \d+ more workers", more.rstrip())


@pytest.mark.usefixtures("still")
def test_numbers_are_never_cut():
    """In a narrow terminal whole figures are left out."""
    progress, trail = campaign(2)
    wide = set(re.findall(r"\d[\d.]*[kM]?", "\n".join(draw(progress, trail, 200, 50))))
    narrow = "\n".join(text for text in draw(progress, trail, 50, 24) if "discovered" not in text)
    assert set(re.findall(r"\d[\d.]*[kM]?", narrow)) <= wide


@pytest.mark.usefixtures("still")
def test_a_terminal_without_unicode_gets_ascii():
    progress, trail = campaign(2)
    lines = draw(progress, trail, 80, 24, encoding="ascii")
    assert any(text.startswith("+- deserialize ---") for text in lines)
    assert all(text.isascii() for text in lines)


@pytest.mark.usefixtures("still")
def test_without_colour_no_colour_is_sent(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    progress, trail = campaign(2)
    file = io.StringIO()
    Console(file=file, width=80, height=24, force_terminal=True).print(Picture(progress, trail))
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", file.getvalue())


@pytest.mark.usefixtures("still")
def test_a_warning_is_shown():
    progress, trail = campaign(1)
    progress.warning = "cannot write the ledger: No space left on device"
    assert progress.warning in draw(progress, trail, 80, 24)[3]
    assert line(progress).endswith(progress.warning)


@pytest.mark.usefixtures("still")
def test_the_line_for_logs():
    progress, _ = campaign(2)
    assert re.fullmatch(
        r"38 s, 1 min 22 s left; [\d.]+k executions; \d+ edges, \d+ semantic features, \d+ kept "
        r"\(sums over 2 targets\); findings: 0 new, \d+ known; deserialize [\d.]+k?/s; safe_open [\d.]+k?/s",
        line(progress),
    )


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("runs", [0, 1_000_000])
def test_what_goes_on_when_the_workers_are_done_is_said_in_place_of_the_time(runs):
    progress, trail = campaign(1, runs=runs)
    progress.note = "replays: 3 of 20 runs"
    assert line(progress).startswith(f"38 s, {progress.note}; ")
    assert progress.note in draw(progress, trail, 80, 24)[0]


@pytest.mark.parametrize(("environment", "every"), [({}, 10), ({"CI": "true"}, 60), ({"GITHUB_ACTIONS": "true"}, 60)])
def test_lines_come_at_once_then_seldom_and_at_the_end(monkeypatch, environment, every):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress(("deserialize",), 300.0, 0)
    said: list[str] = []
    with View(Console(file=io.StringIO()), live=False, say=said.append, environment=environment) as view:
        for _ in range(1501):
            view(progress)
            now += 0.1
    # At once, then one for each full interval; the last of them is also where it ends.
    assert [int(text.split(" s")[0]) for text in said[:1]] == [0]
    assert len(said) == 150 // every + (2 if 150 % every else 1)
    assert said[-1].startswith("2 min 30 s")


@pytest.mark.parametrize(("value", "found"), [("true", True), ("1", True), ("", False), ("false", False), ("0", False)])
def test_what_is_a_ci_job(value, found):
    assert in_ci({"CI": value}) is found
    assert in_ci({"GITHUB_ACTIONS": value}) is found


def test_the_trail_of_a_night_stays_short():
    trail = Trail()
    worker: Any = SimpleWorker(
        settings=SimpleNamespace(target="deserialize"), status={"mutating": True}, engine={"corp": 1}, started=0.0
    )
    for tick in range(20_000):
        trail.see(2.0 * tick, 2.0 * tick, {"deserialize": tick}, [worker])
    assert 300 < len(trail.curve) < 900
    assert trail.curve[0][1] == 0
    assert trail.curve[-1][1] > 19_900


def test_the_rate_is_that_of_late_and_last_new_is_since_the_last_kept():
    trail = Trail()
    worker: Any = SimpleWorker(
        settings=SimpleNamespace(target="deserialize"), status={}, engine={"cov": 0, "ft": 0, "corp": 0}, started=0.0
    )
    for second in range(1, 31):
        worker.status = {"seconds": float(second), "executions": 1000 * min(second, 20)}
        worker.engine["corp"] = min(second, 12)
        trail.see(float(second), float(second), {}, [worker])
        if second == 19:
            assert trail.rate(worker) == 1000
    assert trail.rate(worker) == 0
    assert trail.since_kept(worker, 30.0) == 18
    trail.see(31.0, 31.0, {}, [])
    # A worker that is gone is forgotten.
    assert trail.since_kept(worker, 31.0) == 31


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50), st.integers(1, 60), st.integers(1, 5), st.booleans())
def test_curves_have_their_size_and_a_full_last_column_where_they_rise(values, width, height, ascii_only):
    rising = sorted(values)
    lines = drawing.curve(list(enumerate(rising)), width, height, ascii_only=ascii_only)
    assert [len(text) for text in lines] == [width] * height
    if rising[-1] > rising[0] and ascii_only and width > 1:
        assert [text[-1] for text in lines] == ["#"] * height


@given(st.lists(st.text("ab 12", max_size=12), max_size=12), st.integers(1, 60), st.integers(1, 3))
def test_rows_hold_whole_pieces_only(pieces, width, lines):
    found = drawing.rows(pieces, width, lines)
    assert len(found) == lines
    assert all(len(text) <= width for text in found)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (9999, "9999"), (12_345, "12.3k"), (1_250_000, "1.2M"), (3e9, "3.0G")]
)
def test_counts(value, text):
    assert drawing.count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (59, "59 s"), (60, "1 min"), (725, "12 min 5 s"), (27_600, "7 h 40 min"), (3600, "1 h")]
)  # fmt: skip
def test_durations(seconds, text):
    assert drawing.duration(seconds) == text
