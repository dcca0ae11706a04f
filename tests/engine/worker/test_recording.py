from __future__ import annotations

from pathlib import Path

from harness.engine.worker import recording


def test_recorded_inputs_come_back_in_order_and_a_torn_end_is_left_out(tmp_path: Path) -> None:
    ran: list[bytes] = []
    recorder = recording.Recorder(tmp_path / "inputs", ran.append, skip=1)
    for data in (b"skipped", b"", b"one", b"two"):
        recorder(data)
    recorder.close()
    assert ran == [b"skipped", b"", b"one", b"two"]
    assert recording.read(tmp_path / "inputs") == [b"", b"one", b"two"]
    (tmp_path / "inputs").write_bytes((tmp_path / "inputs").read_bytes()[:-1])
    assert recording.read(tmp_path / "inputs") == [b"", b"one"]
