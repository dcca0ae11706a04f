"""The committed corpus reaches what is written down, and a loss is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import corpus_store, paths
from harness.coverage import baseline
from harness.coverage.collect import Coverage, collect
from harness.errors import HarnessError
from harness.parsers.registry import Parser
from harness.targets.registry import all_targets, get_target


@pytest.fixture(scope="module")
def found(coverage_parser: Parser) -> Coverage:
    """The whole committed corpus, on every target that can run here."""
    inputs = {
        name: [data for _, data in corpus_store.list_seeds(paths.corpus_dir() / name).seeds]
        for name, target in all_targets().items()
        if target.uses_parser and not target.missing()
    }
    return collect(coverage_parser, inputs)


@pytest.mark.long
def test_the_committed_corpus_reaches_what_is_written_down(found: Coverage):
    assert baseline.losses(found, baseline.read(paths.corpus_dir() / baseline.NAME)) == []


@pytest.mark.long
def test_which_target_reaches_which_file_is_as_written_down(found: Coverage):
    """Of what was replayed: workflows choose targets by it. harness coverage --write-baseline brings it up to date."""
    now = {name: set(row) for name, row in baseline.figures(found)["reach"].items()}
    wanted = baseline.read(paths.corpus_dir() / baseline.NAME)["reach"]
    absent = {file.path for file in found.python if file.not_driven}
    assert now == {name: set(wanted[name]) - absent for name in now}


def test_every_target_has_a_baseline():
    wanted = baseline.read(paths.corpus_dir() / baseline.NAME)
    assert wanted["targets"].keys() == wanted["reach"].keys()
    assert set(wanted["targets"]) >= {n for n, t in all_targets().items() if t.uses_parser and not t.missing()}


@pytest.mark.long
def test_the_core_and_the_python_layer_are_reached(found: Coverage):
    """Of what can be reached; torch.py and the bindings' half need torch. docs/coverage.md says what is left of tensor.rs."""
    files = baseline.figures(found)["files"]
    assert files["safetensors/src/tensor.rs"] >= 91
    assert files["safetensors/src/slice.rs"] >= 97
    assert files["safetensors/numpy.py"] >= 90
    if not get_target("torch").missing():
        assert files["bindings/python/src/lib.rs"] >= 49.5
        assert files["safetensors/torch.py"] >= 90


@pytest.mark.long
def test_what_is_written_is_read_back_and_losses_are_told(found: Coverage, tmp_path: Path):
    path = tmp_path / baseline.NAME
    baseline.write(path, found)
    wanted = baseline.read(path)
    assert wanted == baseline.figures(found)
    assert baseline.losses(found, wanted) == []
    wanted["targets"]["deserialize"] += baseline.SLACK_REGIONS + 1
    wanted["files"]["safetensors/numpy.py"] = 101.0
    wanted["targets"]["absent"] = 5
    (lost,) = baseline.losses(found, wanted)
    assert lost.startswith("target deserialize reaches")
    del wanted["targets"]["absent"]
    assert len(baseline.losses(found, wanted)) == 2


def test_a_module_that_is_not_driven_here_is_no_loss(coverage_parser: Parser):
    """Nor is a target that reached it where it was driven; a figure of it enters no baseline."""
    seeds = {name: [b"junk"] for name in ("deserialize", "numpy")}
    wanted: dict[str, Any] = {
        "release": coverage_parser.version,
        "targets": {"deserialize": 9999, "numpy": 9999},
        "files": {"safetensors/numpy.py": 100.0, "safetensors/tensorflow.py": 100.0},
        "reach": {"deserialize": {"safetensors/tensorflow.py": 3}, "numpy": {}},
    }
    found = collect(coverage_parser, seeds)
    for file in found.python:
        file.not_driven = "it is not installed" if file.path.endswith("/tensorflow.py") else ""
    assert "safetensors/tensorflow.py" not in baseline.figures(found)["files"]
    told = [sentence.split(" it was ")[0] for sentence in baseline.losses(found, wanted)]
    assert len(told) == 2
    assert told[0].startswith("target numpy reaches")
    assert told[1].startswith("safetensors/numpy.py is covered by")


@pytest.mark.parametrize("text", ["", "release = 1", 'release = "0.8.0"\n[targets]\na = "x"\n[files]\n', "["])
def test_a_damaged_baseline_is_named(tmp_path: Path, text: str):
    path = tmp_path / baseline.NAME
    path.write_text(text)
    with pytest.raises(HarnessError, match="is damaged"):
        baseline.read(path)


def test_a_missing_baseline_says_how_to_make_it(tmp_path: Path):
    with pytest.raises(HarnessError, match="no baseline") as failure:
        baseline.read(tmp_path / baseline.NAME)
    assert "--write-baseline" in failure.value.hint


@pytest.mark.long
def test_another_release_is_not_compared(found: Coverage):
    with pytest.raises(HarnessError, match=r"of release 0\.1"):
        baseline.losses(found, {"release": "0.1", "targets": {}, "files": {}, "reach": {}})
