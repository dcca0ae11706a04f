"""``harness targets``: what can run here, and what a change calls for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli.targets import command, dealt
from harness.errors import HarnessError
from harness.targets.registry import all_targets


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False)


def git(folder: Path, *arguments: str) -> None:
    named = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", folder, *named, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A branch on which slice.rs changed, and its base, on which tensor.rs changed since."""
    folder = tmp_path / "parser"
    for name in ("tensor.rs", "slice.rs"):
        file = folder / "safetensors/src" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("// one\n")
    git(tmp_path, "init", "-q", "-b", "main", str(folder))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    git(folder, "checkout", "-qb", "change")
    (folder / "safetensors/src/slice.rs").write_text("// two\n")
    git(folder, "commit", "-qam", "two")
    git(folder, "checkout", "-q", "main")
    (folder / "safetensors/src/tensor.rs").write_text("// two\n")
    git(folder, "commit", "-qam", "three")
    git(folder, "checkout", "-q", "change")
    return folder


def test_all_are_listed_with_what_keeps_the_others_from_running() -> None:
    table = json.loads(run("--json").stdout)
    assert set(table["targets"]) | set(table["left_out"]) == set(all_targets())
    assert "changed" not in table
    lines = run().stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*table["targets"], *table["left_out"]]


def test_only_what_a_branch_changed_counts(checkout: Path) -> None:
    result = run("--changed-since", "main", "--source", checkout, "--json")
    table = json.loads(result.stdout)
    assert set(table["changed"]) == {"safetensors/src/slice.rs"}
    assert {"slices", "parallel"} <= set(table["targets"])
    assert "deserialize" not in table["targets"]
    (checkout / "safetensors/src/tensor.rs").write_text("// not committed\n")
    assert "deserialize" in run("--changed-since", "main", "--source", checkout, "--names").stdout.split()


def test_a_change_of_words_calls_for_none_and_says_so() -> None:
    result = run("--changed", "README.md", "--names")
    assert result.stdout == ""
    assert "README.md: no part of the parser\nno target is called for" in result.stderr


def test_what_git_does_not_know_is_an_error_that_says_what_to_do(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="nowhere") as failure:
        run("--changed-since", "nowhere", "--source", checkout)
    assert "fetch-depth: 0" in failure.value.hint
    with pytest.raises(HarnessError, match="not a git repository"):
        run("--changed-since", "main", "--source", tmp_path)


def test_shards_share_out_every_target_once() -> None:
    names = json.loads(run("--json").stdout)["targets"]
    shards = json.loads(run("--shards", 4).stdout)
    assert [one["shard"] for one in shards] == ["1", "2", "3", "4"]
    assert sorted(name for one in shards for name in one["targets"].split()) == sorted(names)
    assert dealt(["a", "b", "c"], 2) == [{"shard": "1", "targets": "a c"}, {"shard": "2", "targets": "b"}]
    assert dealt(["a"], 5) == [{"shard": "1", "targets": "a"}]
