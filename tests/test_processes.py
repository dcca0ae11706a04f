from __future__ import annotations

import os
import signal
import subprocess
import sys

from harness.processes import family_cpu_seconds, fixed_addresses, signal_name, started


def test_signals_without_a_name_have_their_number() -> None:
    assert signal_name(signal.SIGSEGV) == "SIGSEGV"
    # Real-time signals: the first and the last alone have names.
    assert signal_name(signal.SIGRTMIN + 5) == f"signal {signal.SIGRTMIN + 5}"


def test_a_process_that_ended_has_no_start_time() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert started(process.pid) == 0
    assert started(os.getpid()) > started(1)


def test_the_cpu_time_of_a_family_has_that_of_children_in_other_sessions() -> None:
    spin = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True); input()"
    both = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spin!r}], start_new_session=True)"
    command = [sys.executable, "-c", both]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        spent = family_cpu_seconds(leader.pid)
        leader.communicate(b"\n")
    assert 0.2 < spent < 60
    assert family_cpu_seconds(leader.pid) == 0


def test_processes_at_fixed_addresses_have_the_same_ones() -> None:
    command = [
        sys.executable,
        "-c",
        "import ctypes; print(ctypes.addressof(ctypes.c_int.in_dll(ctypes.CDLL(None), 'stdout')))",
    ]
    with fixed_addresses():
        same = {subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout for _ in range(3)}
    random = {subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout for _ in range(3)}
    assert len(same) == 1
    assert len(random) > 1
