from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.engine.worker.json_file import JsonFile
from harness.errors import HarnessError


@dataclass
class Stored(JsonFile):
    name: str
    place: Path
    other: Path | None = None
    pair: tuple[int, int] = (0, 0)
    places: tuple[Path, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize("other", [None, Path("b")])
def test_values_come_back_in_their_types(tmp_path: Path, other: Path | None) -> None:
    stored = Stored("a", Path("a"), other, (1, 2), (Path("c"), Path("d")), {"words": ("x", "y"), "number": 3})
    stored.save(tmp_path / "file")
    assert Stored.load(tmp_path / "file") == stored


@pytest.mark.parametrize("text", ["[]", "{", "", '{"name": "a"}', '{"name": "a", "place": 3}'])
def test_other_files_are_errors(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(HarnessError, match="cannot be read") as raised:
        Stored.load(tmp_path / "file")
    assert raised.value.hint == "write it with Stored.save"
