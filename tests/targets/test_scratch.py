from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.programs import guarded
from harness.targets.scratch import OpenFiles


def test_a_reader_stays_open_until_others_were_used_more_recently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenFiles, "MOST", 2)
    files = OpenFiles()
    for key in (b"one", b"two"):
        assert files.get(key) is None
        assert files.add(key, key, lambda path: Path(path).read_bytes()) == key
    assert files.get(b"one") == b"one"
    files.add(b"three", b"three", lambda path: Path(path).read_bytes())
    assert [files.get(key) for key in (b"one", b"two", b"three")] == [b"one", None, b"three"]


def test_a_file_that_cannot_be_read_is_not_kept_and_leaves_no_descriptor() -> None:
    files, before = OpenFiles(), len(os.listdir("/proc/self/fd"))
    with pytest.raises(NotADirectoryError):
        files.add("key", b"", os.listdir)
    assert files.get("key") is None
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(bool(guarded.why_not()), reason="no guarded memory here")
def test_in_guarded_memory_each_run_opens_a_reader_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    files = OpenFiles()
    files.add("key", b"plain", lambda path: Path(path).read_bytes())
    monkeypatch.setattr(guarded, "_current", guarded.RUNS[0])
    assert files.get("key") is None
    assert files.add("key", b"guarded", lambda path: Path(path).read_bytes()) == b"guarded"
    assert files.get("key") is None
    monkeypatch.setattr(guarded, "_current", None)
    assert files.get("key") == b"plain"
