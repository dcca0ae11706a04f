from __future__ import annotations

import signal

from harness.processes import signal_name


def test_signals_without_a_name_have_their_number() -> None:
    assert signal_name(signal.SIGSEGV) == "SIGSEGV"
    # Real-time signals: the first and the last alone have names.
    assert signal_name(signal.SIGRTMIN + 5) == f"signal {signal.SIGRTMIN + 5}"
