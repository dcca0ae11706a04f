from __future__ import annotations

import os
import signal
import subprocess
import sys

from harness.processes import signal_name, started


def test_signals_without_a_name_have_their_number() -> None:
    assert signal_name(signal.SIGSEGV) == "SIGSEGV"
    # Real-time signals: the first and the last alone have names.
    assert signal_name(signal.SIGRTMIN + 5) == f"signal {signal.SIGRTMIN + 5}"


def test_a_process_that_ended_has_no_start_time() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert started(process.pid) == 0
    assert started(os.getpid()) > started(1)
