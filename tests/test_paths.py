from __future__ import annotations

from pathlib import Path

import pytest

from harness import paths


def test_a_build_folder_that_is_a_link_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # A compiler notes the paths that it is given, and a coverage report asks for the same.
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    assert paths.build_dir() == tmp_path.resolve() / "build"
    (tmp_path / "disk").mkdir()
    (tmp_path / "build").symlink_to("disk")
    assert paths.parsers_dir() == tmp_path.resolve() / "disk/parsers"
