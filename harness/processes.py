"""The tie of a child process to its parent."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int, sign: int) -> bool:
    """Ask the kernel to send ``sign`` to this process when ``parent`` dies in any way (prctl(2)). False: it is dead already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, sign)
    return os.getppid() == parent


def signal_name(number: int) -> str:
    """The name of a signal, such as ``SIGSEGV``; ``signal 39`` for one without a name, as real-time signals are."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
