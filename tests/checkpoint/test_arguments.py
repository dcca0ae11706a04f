from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.checkpoint.arguments import resolve
from harness.errors import HarnessError
from tests.checkpoint.folders import INDEX, ONE, TWO, codes, file, index, sharded, verdicts


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def names(*paths: str) -> list[str]:
    return [one.checkpoint.name for one in verdicts(*paths)]


def test_folders_indexes_patterns_and_files():
    sharded(Path("a"))
    file(Path("b/c/model.safetensors"), "a")
    whole = os.path.join("a", INDEX)
    assert names("a") == [whole]
    assert names(whole) == [whole]
    assert names("./a/*.json") == [f"./{whole}"]
    assert names("*", "b") == [whole, "b/c/model.safetensors"]
    assert names("**/model.safetensors") == ["b/c/model.safetensors"]
    assert names("a/model-*") == [whole]
    assert names("a/model-00001*") == [f"a/{ONE}"]


def test_an_index_in_the_current_folder_and_one_of_another_name():
    sharded(Path())
    assert names(INDEX) == [INDEX]
    assert codes(INDEX) == []
    index(Path("weights.index.json"), {"a": ONE}, 4)
    assert codes("weights.index.json") == []


def test_a_file_that_a_named_folder_holds_is_read_once():
    sharded(Path("a"))
    assert names("a", f"a/{ONE}", "a") == [os.path.join("a", INDEX)]


def apart(*paths: str) -> list[str]:
    return resolve(paths, lambda entries: None).apart


def test_shards_that_are_all_named_are_judged_as_their_checkpoint():
    sharded(Path("a"))
    index(Path("a") / INDEX, {"a": ONE, "b": TWO, "c": TWO}, 8)
    for given in (["a/*.safetensors"], [f"a/{ONE}", f"./a/{TWO}"]):
        assert codes(*given) == ["name-missing"]
        assert apart(*given) == []
    Path("a", INDEX).unlink()
    assert codes("a/*.safetensors") == ["index-missing"]
    file(Path("a/model-00001-of-00003.safetensors"), "a")
    file(Path("a/model-00003-of-00003.safetensors"), "c")
    assert codes("a/*3.safetensors") == ["index-missing", "shard-gap"]


def test_some_shards_of_a_checkpoint_are_judged_one_by_one_with_a_note():
    file(sharded(Path()) / "other.safetensors", "a")
    assert names(ONE, "other.safetensors") == [ONE, "other.safetensors"]
    assert apart(ONE, "other.safetensors") == [INDEX]
    assert apart("other.safetensors") == apart(".", ONE) == apart(INDEX) == []


def test_a_shard_by_itself_is_judged_by_itself():
    file(Path(ONE), tensors={"l.qweight": ("I32", (8, 8)), "l.qzeros": ("I32", (1, 1))})
    assert codes(ONE) == []
    assert codes(".") == ["index-missing", "shard-gap"]


@pytest.mark.parametrize("name", ["gone", "*.none", "empty", "pipe", "a\x1bb*"])
def test_names_that_lead_to_nothing_are_usage_errors(name: str):
    Path("empty").mkdir()
    Path("empty/config.json").touch()
    os.mkfifo("pipe")
    with pytest.raises(HarnessError) as caught:
        verdicts(name)
    assert caught.value.hint
    assert str(caught.value).isprintable()


def test_a_name_with_the_signs_of_a_pattern_is_a_name_first():
    file(Path("model[1].safetensors"), "a")
    assert names("model[1].safetensors") == ["model[1].safetensors"]
