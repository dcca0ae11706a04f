from __future__ import annotations

from pathlib import Path

import pytest

from tests.checkpoint.folders import INDEX, ONE, TWO, codes, file, index, said, sharded


def test_a_checkpoint_in_order_has_no_problem(tmp_path: Path):
    assert codes(sharded(tmp_path)) == []


def test_a_name_in_two_shards_is_told_with_the_one_that_the_index_means(tmp_path: Path):
    file(sharded(tmp_path) / TWO, "b", "a")
    assert codes(tmp_path) == ["name-doubled"]
    assert f"'a' is in '{ONE}' and '{TWO}'; the index means '{ONE}'" in said(tmp_path)


def test_a_name_that_no_shard_has(tmp_path: Path):
    index(sharded(tmp_path) / INDEX, {"a": ONE, "b": TWO, "c": TWO}, 8)
    assert codes(tmp_path) == ["name-missing"]


def test_a_name_in_another_shard(tmp_path: Path):
    file(sharded(tmp_path) / TWO, "b", "c")
    index(tmp_path / INDEX, {"a": ONE, "b": ONE, "c": TWO}, 12)
    assert codes(tmp_path) == ["name-elsewhere"]
    assert f"the index gives 'b' to '{ONE}', but '{TWO}' has it" in said(tmp_path)


def test_a_name_that_the_index_lacks(tmp_path: Path):
    file(sharded(tmp_path) / TWO, "b", "c")
    assert codes(tmp_path) == ["name-unmapped"]


def test_missing_files_are_one_problem(tmp_path: Path):
    (sharded(tmp_path) / TWO).unlink()
    assert codes(tmp_path) == ["shard-missing"]
    (tmp_path / ONE).unlink()
    assert codes(tmp_path) == ["shard-missing"]
    assert "2 of 2 files are not there" in said(tmp_path)


def test_a_shard_that_a_browser_renamed_is_no_checkpoint_of_its_own(tmp_path: Path):
    tensors = {"l.weight_packed": ("I32", (8, 1)), "l.weight_shape": ("I64", (2,))}
    file(tmp_path / "model-00001-of-00002 (1).safetensors", tensors=tensors)
    file(tmp_path / TWO, tensors={"l.weight_scale": ("F32", (8, 1))})
    index(tmp_path / INDEX, {"l.weight_packed": ONE, "l.weight_shape": ONE, "l.weight_scale": TWO})
    assert codes(tmp_path) == ["shard-missing"]


def test_a_stale_index_beside_a_single_file(tmp_path: Path):
    index(tmp_path / INDEX, {"a": ONE, "b": TWO}, 8)
    file(tmp_path / "model.safetensors", "a")
    assert codes(tmp_path) == ["index-stale"]


def test_an_old_single_file_beside_new_shards(tmp_path: Path):
    file(sharded(tmp_path) / "model.safetensors", "a", "b")
    assert codes(tmp_path) == ["single-and-sharded"]


def test_an_index_of_a_single_file_is_in_order(tmp_path: Path):
    # MLX writes one for every model.
    file(tmp_path / "model.safetensors", "a")
    index(tmp_path / INDEX, {"a": "model.safetensors"}, 4)
    assert codes(tmp_path) == []


def test_a_shard_of_an_earlier_save(tmp_path: Path):
    file(sharded(tmp_path) / "model-00003-of-00003.safetensors", "c")
    assert codes(tmp_path) == ["shard-unnamed"]


@pytest.mark.parametrize("total", [8, 8.0, None])
def test_sizes_that_writers_state(tmp_path: Path, total: float | None):
    index(sharded(tmp_path) / INDEX, {"a": ONE, "b": TWO}, total)
    assert codes(tmp_path) == []


def test_sizes_of_bits_and_of_files_are_in_order(tmp_path: Path):
    shard = file(tmp_path / ONE, tensors={"mask": ("BOOL", (4,)), "a": ("F32", (2,))})
    for total in (12, 8.5, shard.stat().st_size):
        index(tmp_path / INDEX, {"a": ONE, "mask": ONE}, total)
        assert codes(tmp_path) == []


@pytest.mark.parametrize("total", [4000, 0, -8, 7])
def test_a_false_size(tmp_path: Path, total: int):
    index(sharded(tmp_path) / INDEX, {"a": ONE, "b": TWO}, total)
    assert codes(tmp_path) == ["total-size"]
    assert "8 bytes" in said(tmp_path)


def test_a_refused_shard_gives_no_further_problem(tmp_path: Path):
    (sharded(tmp_path) / TWO).write_bytes(b"")
    assert codes(tmp_path) == ["file-refused"]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ("1 2 3", ["index-missing"]),
        ("0 1 2", ["index-missing"]),
        ("0 1 2 3", ["index-missing"]),
        ("1 3", ["index-missing", "shard-gap"]),
        ("3", ["index-missing", "shard-gap"]),
        ("0 2", ["index-missing", "shard-gap"]),
    ],
)
def test_shards_without_an_index(tmp_path: Path, numbers: str, expected: list[str]):
    for number in numbers.split():
        file(tmp_path / f"model-{number:0>5}-of-00003.safetensors", f"a{number}")
    assert codes(tmp_path) == expected


def test_a_huge_number_in_a_name_is_counted_not_listed(tmp_path: Path):
    file(tmp_path / "model-1-of-99999999999999999.safetensors", "a")
    assert codes(tmp_path) == ["index-missing", "shard-gap"]
    assert "and 99999999999999995 more" in said(tmp_path)


def test_parts_of_ranks_share_their_names(tmp_path: Path):
    # torch.distributed.checkpoint writes the parts below "sharded", and the whole tensors beside it.
    for rank in (1, 2):
        path = tmp_path / "sharded" / f"shard-0000{rank}-model-00001-of-00001.safetensors"
        file(path, "a", metadata={"DCP_SHARDING_INFO": "{}"})
    file(tmp_path / "model-00001-of-00001.safetensors", "a")
    index(tmp_path / INDEX, {"a": "model-00001-of-00001.safetensors"}, 4)
    assert codes(tmp_path) == []
