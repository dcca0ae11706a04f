from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from harness.engine.worker.slot import Slot, execution, read


def test_the_input_of_a_killed_process_is_left_in_its_slot(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom harness.engine.worker.slot import Slot\n"
        "slot = Slot(Path(sys.argv[1]), 64)\nslot.put(b'the one before, longer', 40_000_000)\n"
        "slot.put(b'the one', 40_000_001)\nslot.cell[0] = 3\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "slot"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read(tmp_path / "slot") == (b"the one", 3)
    # The last status of the process was a little older.
    for least in (39_000_000, 40_000_001):
        assert execution(tmp_path / "slot", least) == 40_000_001


def test_a_slot_that_was_never_filled_or_is_not_there_holds_nothing(tmp_path: Path) -> None:
    Slot(tmp_path / "slot", 64)
    assert read(tmp_path / "slot") == (None, 0)
    assert read(tmp_path / "none") == (None, 0)
    assert execution(tmp_path / "slot", 0) == execution(tmp_path / "none", 0) == 0


def test_other_inputs_of_one_execution_keep_its_number(tmp_path: Path) -> None:
    slot = Slot(tmp_path / "slot", 64)
    slot.put(b"the input", 77)
    slot.cell[0] = 3
    slot.put_other(b"a part of it")
    assert read(tmp_path / "slot") == (b"a part of it", 0)
    assert execution(tmp_path / "slot", 70) == 77
