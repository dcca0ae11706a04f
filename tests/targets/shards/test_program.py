from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.format.judge import judge
from harness.programs import arrays, strategies
from harness.targets.shards import script as shards_source
from harness.targets.shards.program import OUTSIDE, OUTSIDE_TENSORS, PATHS, SHARDS, VOCABULARY, Program, decode
from harness.targets.shards.reader import INDEX, BadIndex, read_sharded

S = VOCABULARY.step
TWO = [S("tensor"), S("tensor", 1, 1, 3)]


def program(*steps) -> Program:
    return decode(VOCABULARY.encode(steps))


def test_a_folder_in_order_says_where_each_tensor_is():
    made = program(*TWO)
    assert [name for name, _ in made.files] == [SHARDS[0], SHARDS[1]]
    assert made.text is not None
    assert json.loads(made.text) == {
        "metadata": {"total_size": 16 + 6},
        "weight_map": {"a": SHARDS[0], "b": SHARDS[1]},
    }
    assert (made.wrong, set(made.wanted)) == ("", {"a", "b"})


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        (S("path", 1, 4), "path: outside the folder"),
        (S("path", 1, 5), "path: outside the folder"),
        (S("path", 1, 3), "path: with two dots"),
        (S("path", 1, 6), "path: no such file"),
        (S("path", 1, 9), "path: no shard"),
        (S("path", 3, 4), ""),  # of a shard that the index does not name
        (S("missing", 1), "shard: missing"),
        (S("damaged", 0, 1), "shard: empty"),
        (S("moved", 0, 1), "tensor: not in its shard"),
        (S("ghost", 0, 1), "tensor: not in its shard"),
        (S("index"), "index: no index"),
        (S("index", 7), "index: a file is a number"),
        (S("doubled", 0, 1), ""),
        (S("unmapped", 1), ""),
        (S("metadata", 2), ""),
        (S("path", 0, 1), ""),
    ],
)
def test_what_is_wrong_with_a_folder(step, wrong: str):
    made = program(*TWO, step)
    assert made.wrong == wrong
    assert bool(made.wanted) != bool(wrong)


def test_of_two_tensors_of_one_name_the_index_says_which_counts():
    made = program(*TWO, S("doubled", 0, 1))
    assert made.wanted["a"] == ("F32", (4,), 0)
    assert made.files[1][1] == arrays.file((("b", "U8", (2, 3), 1), ("a", "F32", (4,), 7)))
    moved = program(*TWO, S("doubled", 0, 1), S("moved", 0, 1))
    assert moved.wanted["a"] == ("F32", (4,), 7)


def write(made: Program, root: Path) -> Path:
    beside = arrays.file(OUTSIDE_TENSORS)
    return Path(shards_source.write_folder(str(root), dict(made.files), dict(made.weights), made.text, OUTSIDE, beside))


def test_a_folder_has_what_its_index_speaks_of(tmp_path: Path):
    folder = write(program(*TWO, S("path", 0, 1), S("path", 1, 2)), tmp_path)
    assert (folder / f"link-to-{SHARDS[0]}").readlink() == Path(SHARDS[0])
    assert (folder / "below" / SHARDS[1]).read_bytes() == (folder / SHARDS[1]).read_bytes()
    assert (folder.parent / OUTSIDE).exists()
    weights = json.loads((folder / INDEX).read_text())["weight_map"]
    assert weights == {"a": f"link-to-{SHARDS[0]}", "b": f"below/{SHARDS[1]}"}


def test_an_absolute_path_is_that_of_the_folder_above(tmp_path: Path):
    folder = write(program(*TWO, S("path", 0, 5)), tmp_path)
    named = json.loads((folder / INDEX).read_text())["weight_map"]["a"]
    assert Path(named).samefile(tmp_path / OUTSIDE)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"weight_map": []}', "null", '{"weight_map": {"a": 1}}', "[" * 100_000]
)
def test_the_reader_refuses_what_is_no_index(tmp_path: Path, text: str):
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(BadIndex):
        read_sharded(str(tmp_path), None)


@pytest.mark.parametrize("path", ["../x.safetensors", "/x.safetensors", "a/../x.safetensors", "x.bin", ""])
def test_the_reader_never_leaves_its_folder(tmp_path: Path, path: str):
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": path}}))
    with pytest.raises(BadIndex):
        read_sharded(str(tmp_path), None)


@given(strategies.programs(VOCABULARY))
def test_shards_that_are_not_damaged_are_valid_files(data: bytes):
    made = decode(data)
    if "damaged" not in made.kinds:
        assert [name for name, raw in made.files if judge(raw).verdict != "accept"] == []
    assert set(made.wanted) <= {name for name, _ in made.weights}
    ast.parse(shards_source.script(made).text)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_folder(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    folder = write(decode(data), tmp_path_factory.mktemp("any"))
    assert folder.is_dir()


def test_every_way_of_naming_a_shard_can_be_written(tmp_path: Path):
    for number in range(len(PATHS)):
        (tmp_path / str(number)).mkdir()
        assert write(program(*TWO, S("path", 0, number)), tmp_path / str(number)).is_dir()
