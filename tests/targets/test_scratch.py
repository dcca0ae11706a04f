from __future__ import annotations

import os
from pathlib import Path

import pytest

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
