"""``harness harden`` on the real parser: it goes on in slices, stops, and says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import paths
from harness.cli import fuzz
from harness.cli.harden import _outlook as outlook
from harness.cli.harden import _total as total
from harness.ledger import joined, records
from harness.ledger.forecast import together

REPOSITORY = Path(__file__).parents[2]


def harden(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", "harden", "--target", "deserialize", "--workers", "1", "--no-ui"]
    return subprocess.run(
        [*command, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_hour_is_shared_as_the_time_was(tmp_path: Path) -> None:
    targets = {}
    for name, cpu in (("a", 90.0), ("b", 10.0)):
        curve = [
            {"seconds": step, "cpu_seconds": cpu * step / 10, "executions": 1000 * step, "edges": 100 + 10 * step}
            for step in range(1, 11)
        ]
        targets[name] = {"executions": 10_000, "cpu_seconds": cpu, "edges": 200, "curve": curve}
    session = {"started": "2026-01-01T00:00:00+00:00", "parser": "0.8.0", "targets": ["a", "b"], "per_target": targets}
    (record,) = records.entries(records.keep(session, tmp_path, tmp_path / "ledger").parent)
    expected = {name: joined.forecast([record], name) for name in targets}
    assert expected["a"] is not None
    assert expected["b"] is not None
    told = outlook([record], 2)
    assert {name: known[0].more(known[1]) for name, known in told.items() if known} == {
        "a": expected["a"].hours(1.8),
        "b": expected["b"].hours(0.2),
    }


def test_what_was_left_out_is_not_waited_for_and_what_had_no_turn_is(tmp_path: Path) -> None:
    curve = [{"seconds": step, "cpu_seconds": step, "executions": 100 * step, "edges": 100 + step} for step in range(1, 11)]  # fmt: skip
    none = {"executions": 0, "cpu_seconds": 0.0}
    driven = {"executions": 1000, "cpu_seconds": 10.0, "edges": 110, "curve": curve}
    targets = {"driven": driven, "broken": none, "late": none}
    session = {"started": "2026-01-01T00:00:00+00:00", "targets": list(targets), "per_target": targets}
    (record,) = records.entries(records.keep(session, tmp_path, tmp_path / "ledger").parent)
    waiting = outlook([record], 1, {"broken": "no such package"})
    assert {name: known is None for name, known in waiting.items()} == {"driven": False, "late": True}
    assert total(waiting) is None
    told = outlook([record], 1, {"broken": "no such package", "late": "it does not open"})
    assert list(told) == ["driven"]
    assert total(told) is not None


def test_many_targets_that_bring_little_bring_something_together(tmp_path: Path) -> None:
    curve = [{"seconds": step, "cpu_seconds": step, "executions": 100 * step, "edges": 100 + (step > 5)} for step in range(1, 11)]  # fmt: skip
    targets = {f"t{n}": {"executions": 1000, "cpu_seconds": 10.0, "edges": 101, "curve": curve} for n in range(20)}
    session = {"started": "2026-01-01T00:00:00+00:00", "targets": list(targets), "per_target": targets}
    (record,) = records.entries(records.keep(session, tmp_path, tmp_path / "ledger").parent)
    parts = [(one, executions / 30) for one, executions in filter(None, outlook([record], 1).values())]
    assert len(parts) == 20
    assert all(one.more(executions).estimate == 0 for one, executions in parts)
    assert together(parts).estimate >= 1


def test_what_slices_found_again_is_said_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def session(seconds: float, **found: dict[str, object]) -> dict[str, Any]:
        spent = {"executions": 100, "seconds": seconds, "accepted": 50, "edges": 100 + seconds}
        totals = {"executions": 100, "seconds": seconds, "cpu_seconds": seconds, "parser": "0.8.0"}
        return totals | {
            "targets": ["a", "slow"], "per_target": {"a": spent}, "findings": found, "left_out": {"b": "b: no such package"},
            "replaced": {"hang": 1}, "skipped": ["b.bin is no seed"], "too_wide": [{"rule": "r", "share": 0.02}],
            # In the first one alone there was no time for a.
            "not_fuzzed": ["a", "b", "slow"] if seconds == 4 else ["b", "slow"], "passed_over": {"a": 2},
        }  # fmt: skip

    here = {"target": "a", "count": 2, "size": 30}
    first = session(4, new=here, filed=here | {"known": "filed"})
    shaky = here | {"replays": {"runs": 10, "held": 9}, "flaky": True}
    second = session(6, new=here | {"size": 20}, filed=here | {"known": "filed"}, shaky=shaky)
    third = session(5, filed=here | {"known": "filed"}, shaky=here) | {"replay_cpu_seconds": 3.0}
    found = fuzz.findings([first, second, third])
    assert {name: (one["count"], one["size"]) for name, one in found.items()} == {
        "new": (4, 20), "filed": (6, 30), "shaky": (4, 30),
    }  # fmt: skip
    fuzz.report([first, second, third], tmp_path)
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"300 executions in 15 s (18 CPU-seconds, 3 of them replays of findings) on 0.8.0, campaign {tmp_path}",
        "  a: 20/s, 50 % accepted, 106 edges, 0 inputs kept",
        "findings: 2 new, 1 known",
        "  new  (a, seen 4 times, 20 bytes, not replayed)",
        "  shaky  (a, seen 4 times, 30 bytes, FLAKY: shows 9 of 10 times)",
        f"repeat one:    harness repro {tmp_path}/findings/new",
        f"file them all: harness triage --campaign {tmp_path}",
    ]
    assert said.err.splitlines() == [
        "2 of 3 targets did not run:",
        "  slow: no execution: the campaign was killed, or still runs, and it has run no input",
        "  b: left out: b: no such package",
        (
            "the corpus of a is full: 6 inputs without a new edge were not saved; make room with: "
            f"harness corpus minimize --target a --corpus {tmp_path / 'corpus'}"
        ),
        "workers that were replaced: 3 hang",
        "b.bin is no seed",
        "verdict rule r covers 2.0 % of executions: too wide",
    ]


@pytest.mark.long
def test_it_stops_when_the_next_hour_is_expected_to_buy_too_little(project: Path) -> None:
    corpus = project / "corpus/deserialize"
    corpus.symlink_to(REPOSITORY / "corpus/deserialize")
    ledger = project / "ledger"
    done = harden("--until-edges-per-hour", 10**9, "--slice", "2s", "--max-time", "600s", "--json", "--ledger", ledger)
    assert done.returncode in (0, 1), done.stderr
    said = json.loads(done.stdout)
    assert (said["stopped"], said["campaign"]) == ("forecast", str(paths.campaigns_dir() / "harden"))
    # Of a machine that is busy a slice may be too short for a forecast.
    assert said["slices"] >= 2
    assert said["edges_in_one_more_hour"]["low"] <= said["edges_in_one_more_hour"]["estimate"] < 10**9
    assert done.returncode == int(bool(said["new"]))
    assert "2 slices" in done.stderr
    sessions = json.loads((paths.campaigns_dir() / "harden/campaign.json").read_text())["sessions"]
    assert [one["seed"] for one in sessions] == list(range(1, said["slices"] + 1))
    assert len(list(ledger.glob("*.json"))) == said["slices"]
    assert not records.folder().exists()
    # Nothing is filed in this project.
    assert set(said["new"]) == set(said["findings"])
    # The time is a limit, whatever the forecast says; sessions of earlier runs are no slices of this one.
    done = harden("--until-edges-per-hour", "0.000001", "--slice", "2s", "--max-time", "1s")
    assert "stopped after 1 slice: the time is up" in done.stdout, done.stderr
    assert done.stdout.count("findings: ") == 1
