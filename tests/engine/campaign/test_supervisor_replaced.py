"""Workers that a campaign replaces, in real campaigns: one that hangs, one whose memory grows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.findings import store
from tests.engine.conftest import Fuzz
from tests.waiting import LONG, children, wait_until

SCRIPT = """
import json, pathlib, sys
from harness.engine.campaign.main import Campaign, CampaignSettings
settings = CampaignSettings(
    folder=pathlib.Path(sys.argv[1]), targets=("deserialize",), parser="0.8.0", seconds=1800, patience=10.0
)
Campaign(settings, lambda progress: None).run()
"""


def ledger(campaign: Path) -> dict[str, Any]:
    try:
        session: dict[str, Any] = json.loads((campaign / "campaign.json").read_text())["sessions"][-1]
    except (OSError, IndexError):
        return {}
    return session


def test_one_that_hangs_is_replaced_and_its_input_is_not_blamed(fuzz: Fuzz) -> None:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(fuzz.campaign)], env=fuzz.environment())
    try:
        wait_until(lambda: ledger(fuzz.campaign).get("executions"), what="the worker runs")
        (worker,) = children(process.pid, "harness.engine.worker")
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: ledger(fuzz.campaign).get("replaced") == {"hung": 1}, what="the worker is replaced")
        before = ledger(fuzz.campaign)["executions"]
        wait_until(lambda: ledger(fuzz.campaign)["executions"] > before, what="the next worker runs")
        process.send_signal(signal.SIGINT)
        assert process.wait(LONG) == 0
    finally:
        process.kill()
    session = ledger(fuzz.campaign)
    assert session["ended"] == "interrupted"
    assert not Path(f"/proc/{worker}").exists()
    assert {finding.kind for finding in store.findings(fuzz.campaign)}.isdisjoint({"hang", "memory", "crash"})


def test_one_whose_memory_grows_is_replaced_before_it_dies_of_it(fuzz: Fuzz) -> None:
    done = fuzz("--target", "bloated", "--runs", "250", "--empty-corpus", "--workers", "1")
    assert done.returncode in (0, 1), done.stderr
    session = fuzz.session()
    assert session["replaced"].keys() == {"bloated"}
    assert session["workers_started"] > 1
    assert session["ended"] == "runs"
    assert session["executions"] >= 250
    assert list((fuzz.campaign / "corpus" / "bloated").iterdir())
    assert {finding.kind for finding in store.findings(fuzz.campaign)}.isdisjoint({"memory", "crash"})
