from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.checkpoint.index import LIMIT
from harness.errors import HarnessError
from harness.format.encode import pack
from tests.checkpoint import folders
from tests.cli import running
from tests.test_foreign_files import FILES

GOOD = pack([("a", "BF16", (2,), b"xyxy"), ("b", "F4", (2,), b"x")], {"format": "pt"})
TWICE = b"\x1f\0\0\0\0\0\0\0" + b'{"__metadata__":{"":"","":""}} '


run = functools.partial(running.run, "check")


def giant(path: Path, missing: int = 0) -> None:
    size = 5 << 30
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size - missing)


def test_a_good_file_passes_the_gate(project: Path):
    (project / "good").write_bytes(GOOD)
    status, text = run("good")
    assert status == 0
    assert text.splitlines()[0] == "good: ok"


def test_the_json_has_the_agreed_shape(project: Path):
    (project / "good").write_bytes(GOOD)
    (project / "twice").write_bytes(TWICE)
    (project / "empty").write_bytes(b"")
    status, text = run("good", "twice", "empty", "--json")
    assert status == 1
    good, twice, empty = json.loads(text)
    assert (good["file"], good["spec"]["verdict"], good["spec"]["rule"]) == ("good", "accept", "")
    assert set(good["parsers"]) == {"0.8.0", "0.8.0-wheel"}
    for parser in good["parsers"].values():
        assert (parser["outcome"], parser["error"]) == ("accept", "")
    assert (twice["spec"]["verdict"], twice["spec"]["rule"]) == ("reject", "header.duplicate-key")
    assert (twice["parsers"]["0.8.0"]["outcome"], twice["agreed"]) == ("accept", False)
    assert (empty["spec"]["rule"], empty["agreed"]) == ("framing.length", True)
    assert empty["parsers"]["0.8.0"]["outcome"] == "reject"
    assert "too small" in empty["parsers"]["0.8.0"]["error"]


@pytest.mark.parametrize("data", [TWICE, b"", b"\2\0\0\0\0\0\0\0[]"])
def test_refused_or_judged_in_two_ways_does_not_pass(project: Path, data: bytes):
    (project / "file").write_bytes(data)
    status, text = run("file", "--parser", "0.8.0-wheel")
    assert status == 1
    assert text.startswith("file: NOT OK\n")
    assert "sancov" not in text


def test_a_refusal_of_what_the_format_leaves_open_is_no_disagreement(project: Path):
    header = b'{"a":{"dtype":"U8","shape":[0.0],"data_offsets":[0,0]}}'
    (project / "open").write_bytes(len(header).to_bytes(8, "little") + header)
    status, text = run("open", "--json")
    assert status == 1
    (row,) = json.loads(text)
    assert row["spec"]["rule"] == "unspecified.integer-form"
    assert {parser["outcome"] for parser in row["parsers"].values()} == {"reject"}
    assert row["agreed"]
    assert [problem["code"] for problem in row["problems"]] == ["file-unspecified"]


def test_a_giant_is_checked_by_its_header(project: Path):
    giant(project / "giant")
    giant(project / "short", missing=1)
    assert run("giant")[0] == 0
    status, text = run("short", "--json")
    assert status == 1
    (row,) = json.loads(text)
    assert row["spec"]["rule"] == "layout.truncated"
    assert {parser["outcome"] for parser in row["parsers"].values()} == {"reject"}
    with (project / "zeros").open("wb") as file:
        file.truncate(5 << 30)
    assert run("zeros")[0] == 1


def test_a_checkpoint_has_one_verdict_and_a_line_for_each_problem(project: Path):
    folders.file(folders.sharded(project / "twice") / folders.TWO, "b", "a")
    folders.sharded(project / "good")
    status, text = run("good", "twice", "--sarif", "log.sarif")
    assert status == 1
    first, second, problem, total = text.splitlines()
    assert first == f"good/{folders.INDEX}: ok (2 files, 2 tensors, 136B)"
    assert second.startswith(f"twice/{folders.INDEX}: NOT OK (2 files")
    assert problem.startswith("  name-doubled: 'a' is in")
    assert total == "2 checkpoints: 1 ok, 1 not ok"
    log = json.loads((project / "log.sarif").read_text())
    assert [result["ruleId"] for result in log["runs"][0]["results"]] == ["name-doubled"]


def test_rows_of_a_checkpoint_have_the_agreed_shape_too(project: Path):
    folders.sharded(project / "model")
    (project / "model" / folders.TWO).unlink()
    status, text = run("model", "--json")
    assert status == 1
    shard, index = json.loads(text)
    assert (shard["file"], shard["agreed"], set(shard["parsers"])) == (
        f"model/{folders.ONE}",
        True,
        {"0.8.0", "0.8.0-wheel"},
    )
    assert (index["file"], index["spec"]["rule"]) == (f"model/{folders.INDEX}", "shard-missing")
    assert [problem["code"] for problem in index["problems"]] == ["shard-missing"]


def test_a_shard_that_parsers_judge_otherwise_is_a_problem_of_the_checkpoint(project: Path):
    (folders.sharded(project / "model") / folders.TWO).write_bytes(TWICE)
    status, text = run("model")
    assert status == 1
    codes = [line.split(":")[0].strip() for line in text.splitlines()[1:]]
    assert codes == ["file-refused", "parsers-disagree", "parsers-disagree"]


def test_something_that_cannot_be_read_has_status_2_and_the_rest_is_judged(project: Path):
    folders.sharded(project / "model")
    with (project / "model" / folders.INDEX).open("r+") as file:
        file.truncate(LIMIT + 1)
    (project / "other.safetensors").write_bytes(GOOD)
    status, text = run(".")
    assert status == 2
    assert "index-too-large" in text
    assert "other.safetensors: ok" in text


@pytest.mark.parametrize("name", ["missing", "folder", "fifo", "*.none"])
def test_what_is_no_file_is_a_usage_error_at_once(project: Path, name: str):
    (project / "folder").mkdir()
    os.mkfifo(project / "fifo")
    (project / "good").write_bytes(GOOD)
    with pytest.raises(HarnessError) as caught:
        run("good", name)
    assert caught.value.exit_status == 2
    assert name in str(caught.value)


def test_no_parser_says_how_to_build_one(project: Path):
    for link in (project / "build" / "parsers").iterdir():
        link.unlink()
    (project / "good").write_bytes(GOOD)
    with pytest.raises(HarnessError, match="no parser") as caught:
        run("good")
    assert "harness build" in caught.value.hint


def test_exit_statuses_reach_the_shell(project: Path):
    (project / "good").write_bytes(GOOD)
    (project / "twice").write_bytes(TWICE)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}

    def shell(*arguments: str) -> int:
        command = [sys.executable, "-m", "harness", "check", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode

    assert [shell("good"), shell("twice"), shell("missing"), shell()] == [0, 1, 2, 2]


def test_a_file_of_another_format_is_named(project: Path):
    (project / "model.safetensors").write_bytes(b"<!DOCTYPE html><html><body>Access denied</body></html>")
    status, text = run("model.safetensors")
    assert status == 1
    assert "This is a web page" in text
    assert json.loads(run("model.safetensors", "--json")[1])[0]["foreign"]["kind"] == "html"


def test_an_index_that_is_a_git_lfs_pointer_is_named(project: Path):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12\n"
    (project / "model.safetensors.index.json").write_text(pointer)
    status, text = run("model.safetensors.index.json")
    assert status == 1
    assert "index-not-json: This is a Git LFS pointer" in text
    assert "To do: run git lfs pull." in text


def test_a_note_says_that_the_index_of_a_shard_was_not_compared(project: Path):
    folders.sharded(project / "model")
    status, text = run(f"model/{folders.ONE}")
    assert status == 0
    told = "shards judged one by one; their index was not compared: check the folder"
    assert f"note: model/{folders.INDEX}: {told}\n" in text


def test_a_parser_that_does_not_start_is_one_line_and_the_others_read_on(project: Path):
    wheel = project / "build" / "parsers" / "0.8.0-wheel"
    root = wheel.resolve()
    wheel.unlink()
    shutil.copytree(root, wheel, symlinks=True)
    next(wheel.rglob("safetensors/__init__.py")).write_text("raise ImportError('broken build')\n")
    (project / "good").write_bytes(GOOD)
    status, text = run("good", "--sarif", "log.sarif")
    assert status == 3
    assert "good: ok" in text
    assert "  0.8.0                  accept" in text
    (line,) = [line for line in text.splitlines() if line.startswith("harness: ")]
    assert line.startswith("harness: parser 0.8.0-wheel did not start: ")
    assert line.endswith("broken build; harness build makes it again")
    (invocation,) = json.loads((project / "log.sarif").read_text())["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False


def test_the_other_format_comes_before_the_verdict_on_the_format(project: Path):
    (project / "a.safetensors").write_bytes(FILES["git-lfs-pointer"])
    _, text = run("a.safetensors")
    assert text.splitlines()[1:3] == ["  This is a Git LFS pointer", "  the format             reject"]
