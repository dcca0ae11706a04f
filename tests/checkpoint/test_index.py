from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO, Self, cast

import pytest

from harness.checkpoint.index import LIMIT, read_index
from harness.files import open_at_once
from tests.checkpoint.folders import INDEX, ONE, TWO, codes, index, said, sharded


def test_an_index_as_read(tmp_path: Path):
    read = read_index(str(sharded(tmp_path) / INDEX))
    assert (read.weights, read.total_size, read.problems) == ({"a": ONE, "b": TWO}, 8, [])
    assert read.files() == [ONE, TWO]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, "\ufeff{}", '{"weight_map": {}} x', '{"weight_map": {}, "metadata": {"total_size": ' + "9" * 5000 + "}}"],
)  # fmt: skip
def test_text_that_is_no_json_is_one_problem(tmp_path: Path, text: str):
    (sharded(tmp_path) / INDEX).write_text(text)
    assert codes(tmp_path) == ["index-not-json"]
    assert len(said(tmp_path)) < 400


@pytest.mark.parametrize(
    "value",
    [[], None, {}, {"weight_map": {}}, {"weight_map": None}, {"weight_map": ["a"]}, {"weight_map": {"a": ONE, "b": None}},
     {"weight_map": {"a": ONE, "b": [TWO]}}, {"metadata": 1, "weight_map": {"a": ONE, "b": TWO}},
     {"metadata": {"total_size": "8"}, "weight_map": {"a": ONE, "b": TWO}},
     {"metadata": {"total_size": True}, "weight_map": {"a": ONE, "b": TWO}},
     {"metadata": {"total_size": 10**400}, "weight_map": {"a": ONE, "b": TWO}},
     {"weight_map": {"a": ONE, "b": "model.bin"}}],
)  # fmt: skip
def test_values_of_wrong_types(tmp_path: Path, value: object):
    (sharded(tmp_path) / INDEX).write_text(json.dumps(value))
    assert codes(tmp_path) == ["index-types"]


def test_an_empty_index_without_files_is_told(tmp_path: Path):
    index(tmp_path / INDEX, {})
    assert codes(tmp_path) == ["index-types"]
    assert "weight_map is empty" in said(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path):
    (sharded(tmp_path) / INDEX).write_bytes(b'{"\xff": 1}')
    assert codes(tmp_path) == ["index-not-json"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_size_that_is_no_number(tmp_path: Path, number: str):
    text = f'{{"metadata": {{"total_size": {number}}}, "weight_map": {{"a": "{ONE}", "b": "{TWO}"}}}}'
    (sharded(tmp_path) / INDEX).write_text(text)
    assert codes(tmp_path) == ["index-types"]


def test_equal_keys_are_told(tmp_path: Path):
    (sharded(tmp_path) / INDEX).write_text(f'{{"weight_map": {{"a": "{ONE}", "b": "{TWO}", "a": "{TWO}"}}}}')
    assert "index-duplicate-key" in codes(tmp_path)
    assert "a key is there twice: 'a'" in said(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "../x.safetensors",
        "/x.safetensors",
        "gone/../x.safetensors",
        "a/../../x.safetensors",
        "C:\\x.safetensors",
        "..\\x.safetensors",
    ],
)
def test_paths_that_leave_the_folder(tmp_path: Path, path: str):
    index(sharded(tmp_path) / INDEX, {"a": ONE, "b": TWO, "c": path}, 8)
    assert codes(tmp_path) == ["index-path"]


def test_paths_that_stay_and_links_that_leave(tmp_path: Path):
    # The cache of huggingface_hub holds links to files outside the folder.
    folder = sharded(tmp_path / "snapshot")
    (tmp_path / "blobs").mkdir()
    (folder / TWO).rename(tmp_path / "blobs" / "0123")
    (folder / TWO).symlink_to("../blobs/0123")
    (folder / "below").mkdir()
    (folder / ONE).rename(folder / "below" / ONE)
    index(folder / INDEX, {"a": f"./below/{ONE}", "b": f"./{TWO}"}, 8)
    assert codes(folder) == []


def test_an_index_over_the_limit_is_not_read(tmp_path: Path):
    with (sharded(tmp_path) / INDEX).open("r+") as file:
        file.truncate(LIMIT + 1)
    assert codes(tmp_path) == ["index-too-large"]
    assert "64,000,000" in said(tmp_path)


def test_a_pipe_in_place_of_the_index_is_not_waited_for(tmp_path: Path):
    (sharded(tmp_path) / INDEX).unlink()
    os.mkfifo(tmp_path / INDEX)
    assert codes(tmp_path) == ["not-a-file"]


def test_a_link_that_leads_nowhere(tmp_path: Path):
    (sharded(tmp_path) / INDEX).unlink()
    (tmp_path / INDEX).symlink_to("gone")
    assert codes(tmp_path) == ["broken-link"]
    (tmp_path / INDEX).unlink()
    (tmp_path / INDEX).symlink_to(INDEX)
    assert codes(tmp_path) == ["broken-link"]


def test_an_index_that_is_cut_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = sharded(tmp_path) / INDEX

    def cutting(name: str) -> BinaryIO:
        file = open_at_once(name)
        return cast("BinaryIO", _Cutting(file, path))

    monkeypatch.setattr("harness.checkpoint.index.open_at_once", cutting)
    assert codes(tmp_path) == ["changed-while-read"]


def test_an_index_that_vanishes_after_it_was_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = sharded(tmp_path) / INDEX
    path.write_text("{")

    def vanishing(name: str) -> BinaryIO:
        file = open_at_once(name)
        path.unlink()
        return file

    monkeypatch.setattr("harness.checkpoint.index.open_at_once", vanishing)
    assert codes(tmp_path) == ["cannot-read"]


class _Cutting:
    """A file that another process cuts between the look at its size and the reading."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file = file
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def fileno(self) -> int:
        return self.file.fileno()

    def read(self, size: int) -> bytes:
        os.truncate(self.path, 10)
        return self.file.read(size)
