from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from harness.engine.worker.slot import Slot, read


def test_the_input_of_a_killed_process_is_left_in_its_slot(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom harness.engine.worker.slot import Slot\n"
        "slot = Slot(Path(sys.argv[1]), 64)\nslot.put(b'the one before, longer')\nslot.put(b'the one')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "slot"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read(tmp_path / "slot")[0] == b"the one"


def test_a_slot_that_was_never_filled_or_is_not_there_holds_nothing(tmp_path: Path) -> None:
    Slot(tmp_path / "slot", 64)
    assert read(tmp_path / "slot") == (None, 0)
    assert read(tmp_path / "none") == (None, 0)
