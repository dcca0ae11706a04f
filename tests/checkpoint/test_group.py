from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.checkpoint.folders import INDEX, ONE, TWO, codes, file, index, verdicts


def names(folder: Path) -> dict[str, int]:
    """The checkpoints of a folder, each with its number of files."""
    return {os.path.relpath(one.checkpoint.name, folder): len(one.readings) for one in verdicts(folder)}


@pytest.mark.parametrize(
    ("shard", "stem"),
    [
        ("model.fp16-0000{}-of-00002.safetensors", "model.safetensors.index.fp16.json"),  # transformers, diffusers
        ("model.fp16-0000{}-of-00002.safetensors", "model.fp16.safetensors.index.json"),
        ("model-0000{}-of-00002.fp16.safetensors", "model.safetensors.index.fp16.json"),  # older diffusers
        ("model_0000{}-of-00002.safetensors", INDEX),
        ("model-0000{}-of-000002.safetensors", INDEX),
        ("my.shard{}.safetensors", INDEX),
    ],
)
def test_shards_belong_to_the_index_of_their_stem(tmp_path: Path, shard: str, stem: str):
    first, second = shard.format(1), shard.format(2)
    file(tmp_path / first, "a")
    file(tmp_path / second, "b")
    index(tmp_path / stem, {"a": first, "b": second}, 8)
    assert names(tmp_path) == {stem: 2}
    assert codes(tmp_path) == []


def test_checkpoints_side_by_side_are_judged_apart(tmp_path: Path):
    for name in ("model", "model.fp16", "adapter_model", "consolidated", "unet/model", "2_Dense/model"):
        file(tmp_path / f"{name}.safetensors", "a")
    assert set(names(tmp_path).values()) == {1}
    assert len(names(tmp_path)) == 6
    assert codes(tmp_path) == []


def test_variants_beside_each_other(tmp_path: Path):
    for variant in ("", ".fp16"):
        file(tmp_path / f"model{variant}-00001-of-00001.safetensors", "a")
        index(
            tmp_path / f"model.safetensors.index{variant}.json", {"a": f"model{variant}-00001-of-00001.safetensors"}, 4
        )
    file(tmp_path / "model.ema.safetensors", "a")
    assert len(names(tmp_path)) == 3
    assert codes(tmp_path) == []


def test_shards_of_two_totals_are_two_checkpoints(tmp_path: Path):
    file(tmp_path / ONE, "a")
    file(tmp_path / TWO, "b")
    file(tmp_path / "model-00001-of-00001.safetensors", "a")
    assert names(tmp_path) == {"model-*-of-00002.safetensors": 2, "model-*-of-00001.safetensors": 1}


def test_an_index_names_files_of_a_folder_below(tmp_path: Path):
    file(tmp_path / "below" / ONE, "a")
    index(tmp_path / INDEX, {"a": f"below/{ONE}"}, 4)
    assert names(tmp_path) == {INDEX: 1}


def test_a_broken_index_keeps_its_shards(tmp_path: Path):
    file(tmp_path / ONE, "a")
    (tmp_path / TWO).write_bytes(b"")
    (tmp_path / INDEX).write_text("{")
    assert names(tmp_path) == {INDEX: 2}
    assert codes(tmp_path) == ["file-refused", "index-not-json"]
