"""A campaign of the bench ends with the bench."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from harness.bench import cluster
from harness.errors import EngineError
from tests.waiting import ended, wait_until

# Says who it is, and leaves a mark when it is asked to end.
ASKED = """
import os, pathlib, signal, sys, time
place = pathlib.Path(sys.argv[1])
def end(*_):
    (place / "asked").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
(place / "pid").write_text(str(os.getpid()))
time.sleep(600)
"""


def test_ctrl_c_ends_the_campaign_too(tmp_path: Path) -> None:
    def once_it_runs(number: int, frame: object) -> None:
        wait_until(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text(), what="it runs")
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, once_it_runs)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            cluster._run([sys.executable, "-c", ASKED, str(tmp_path)], 600)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert ended((tmp_path / "pid").read_text())
    assert (tmp_path / "asked").exists()


def test_a_campaign_that_goes_on_for_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="a campaign ended with"):
        cluster._run([sys.executable, "-c", ASKED, str(tmp_path)], 0.0)
