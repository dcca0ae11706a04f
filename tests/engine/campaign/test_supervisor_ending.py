"""How real campaigns end while their workers are still starting: by a signal, and when there is no time left at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from harness.engine.campaign import states
from harness.engine.campaign.states import State
from harness.engine.campaign.units import Result, Unit
from harness.parsers.registry import Parser
from tests.engine.conftest import Fuzz
from tests.waiting import LONG, children, wait_until

NO_TIME = """
import pathlib, sys
from harness.engine.campaign import plans
from harness.engine.campaign.main import Campaign, CampaignSettings
plans.OVERTIME_S = 0.3
settings = CampaignSettings(
    folder=pathlib.Path(sys.argv[1]), targets=("slow", "deserialize", "model"), parser="0.8.0", seconds=0.2, empty=True
)
Campaign(settings, lambda progress: None).run()
"""


def workers(process: subprocess.Popen[str], count: int) -> list[int]:
    """The processes that ``process`` has started, once there are so many."""

    def started() -> list[int]:
        assert process.poll() is None
        found = children(process.pid)
        return found if len(found) >= count else []

    return wait_until(started, what=f"{count} workers start")


def test_ctrl_c_ends_three_workers_that_have_not_opened_their_targets(fuzz: Fuzz) -> None:
    chosen = [word for name in ("slow", "deserialize", "model") for word in ("--target", name)]
    command = fuzz.command(*chosen, "--workers", "3", "--time", "10m", "--empty-corpus")
    process = subprocess.Popen(
        command, env=fuzz.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        started = workers(process, 3)
        process.send_signal(signal.SIGINT)
        # One of them would load for an hour.
        _, errors = process.communicate(timeout=LONG)
    finally:
        process.kill()
    # It was named, and never ran.
    assert process.returncode == 3, errors
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    session = fuzz.session()
    assert session["ended"] == "interrupted"
    assert session["workers_started"] == 3
    assert session["left_out"] == {}
    assert "slow" in session["not_fuzzed"]
    assert "never ran: " in errors
    assert states.states([session])["slow"] == State(states.IDLE, "the campaign was interrupted before it ran an input")


def test_a_unit_that_is_asked_to_end_before_it_begins_gives_a_result(
    tmp_path: Path, fuzz: Fuzz, sancov_parser: Parser
) -> None:
    Unit("slow", sancov_parser.name, 3, (), seconds=600.0).save(tmp_path / "unit.json")
    command = [sys.executable, "-m", "harness.engine.unit", str(tmp_path / "unit.json"), str(tmp_path / "result.json")]
    process = subprocess.Popen(command, env=fuzz.environment(), stderr=subprocess.PIPE, text=True)
    try:
        workers(process, 1)
        process.terminate()
        _, errors = process.communicate(timeout=LONG)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    result = Result.load(tmp_path / "result.json")
    assert (result.target, result.executions, result.corpus, result.problem) == ("slow", 0, (), "")


def test_a_campaign_waits_no_longer_than_its_overtime_for_what_loads_slowly(fuzz: Fuzz) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_TIME, str(fuzz.campaign)],
        env=fuzz.environment(),
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    session = fuzz.session()
    assert session["ended"] == "time"
    # The others, which come after it, had no turn.
    assert session["not_fuzzed"] == ["slow", "deserialize", "model"]
    assert session["workers_started"] == 1
    assert session["left_out"] == {}
