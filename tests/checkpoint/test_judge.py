from __future__ import annotations

from pathlib import Path

import pytest

from harness.checkpoint import arguments
from harness.checkpoint.judge import judge_all
from harness.checkpoint.reading import Reader
from tests.checkpoint.folders import INDEX, ONE, TWO, codes, file, index, said, sharded, verdicts


def test_rows_hold_each_problem_once(tmp_path: Path):
    (sharded(tmp_path) / TWO).write_bytes(b"")
    index(tmp_path / INDEX, {"a": ONE, "b": TWO, "c": ONE}, 8)
    (verdict,) = verdicts(tmp_path)
    rows = {Path(row["file"]).name: row for row in verdict.rows()}
    told = {name: [problem["code"] for problem in row["problems"]] for name, row in rows.items()}
    assert told == {ONE: [], TWO: ["file-refused"], INDEX: ["name-missing"]}
    assert {row["checkpoint"] for row in rows.values()} == {str(tmp_path / INDEX)}
    assert rows[INDEX]["foreign"] is None
    assert rows[INDEX]["spec"] == {
        "verdict": "reject",
        "rule": "name-missing",
        "detail": f"the index gives 'c' to '{ONE}', and no shard has it",
    }
    assert rows[ONE]["spec"]["verdict"] == "accept"


def test_members_of_a_group_in_two_shards_belong_together(tmp_path: Path):
    file(tmp_path / ONE, tensors={"l.weight_packed": ("I32", (8, 1)), "l.weight_shape": ("I64", (2,))})
    file(tmp_path / TWO, tensors={"l.weight_scale": ("F32", (7, 1))})
    index(tmp_path / INDEX, {"l.weight_packed": ONE, "l.weight_shape": ONE, "l.weight_scale": TWO}, 76)
    (verdict,) = verdicts(tmp_path)
    assert [problem.kind.code for problem in verdict.problems] == ["quantisation-shape"]
    (tmp_path / TWO).unlink()
    (verdict,) = verdicts(tmp_path)
    assert [problem.kind.code for problem in verdict.problems] == ["shard-missing"]


@pytest.mark.parametrize("broken", [True, False])
def test_a_group_is_not_blamed_for_a_shard_that_is_missing_or_refused(tmp_path: Path, broken: bool):
    file(tmp_path / ONE, tensors={"l.qweight": ("I32", (8, 8)), "l.qzeros": ("I32", (1, 1))})
    if broken:
        (tmp_path / INDEX).write_text("{")
    index_code = "index-not-json" if broken else "index-missing"
    assert codes(tmp_path) == [index_code, "shard-gap"]
    (tmp_path / TWO).write_bytes(b"")
    assert codes(tmp_path) == sorted(["file-refused", index_code])
    file(tmp_path / TWO, "a")
    assert codes(tmp_path) == [index_code, "quantisation-member"]


def test_shards_of_two_saves_below_a_broken_index_have_no_gaps(tmp_path: Path):
    for name in (ONE, "model-00003-of-00005.safetensors"):
        file(tmp_path / name, tensors={f"{name}.qweight": ("I32", (8, 8)), f"{name}.qzeros": ("I32", (1, 1))})
    (tmp_path / INDEX).write_text("{")
    assert codes(tmp_path) == ["index-not-json"]


@pytest.mark.parametrize("name", ["model.safetensors", ONE])
def test_a_file_that_vanishes_after_it_was_found_cannot_be_read(tmp_path: Path, name: str):
    path = file(tmp_path / name, "a")
    sources = arguments.resolve([str(tmp_path)], lambda entries: None)
    path.unlink()
    with Reader([]) as reader:
        (verdict,) = judge_all(sources.checkpoints, reader, lambda path: None)
    assert verdict.problems[0].kind.code == "cannot-read"
    assert verdict.unread


def test_a_problem_of_one_shard_starts_with_its_path_below_the_checkpoint(tmp_path: Path):
    file(tmp_path / "sub" / "b.safetensors", "b")
    index(tmp_path / INDEX, {"a": ONE, "b": "sub/b.safetensors"}, 8)
    (tmp_path / ONE).symlink_to("gone")
    (tmp_path / "sub" / "b.safetensors").write_bytes(b"GGUF" + bytes(20))
    first, second = said(tmp_path).splitlines()
    assert first.startswith(f"broken-link: {ONE}: the link")
    assert second.startswith("file-refused: sub/b.safetensors: This is a GGUF")


def test_a_problem_at_the_name_of_the_checkpoint_does_not_repeat_it(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert said(tmp_path).startswith("file-refused: This file is empty")
