"""Which targets a change calls for, by what was measured."""

from __future__ import annotations

import pytest

from harness import paths
from harness.coverage import baseline
from harness.coverage.changed import choose

REACH = {"one": {"src/a.rs": 3}, "two": {"src/a.rs": 1, "pkg/b.py": 2}, "three": {"pkg/b.py": 1}}
HERE = ["one", "two", "three"]


@pytest.mark.parametrize(
    ("changed", "called"),
    [
        (["src/a.rs"], ("one", "two")),
        (["deeper/src/a.rs", "README.md"], ("one", "two")),
        (["pkg/b.py"], ("two", "three")),
        (["src/a.rs", "pkg/b.py"], ("one", "two", "three")),
        (["src/new.rs"], ("one", "two", "three")),
        (["Cargo.toml"], ("one", "two", "three")),
        (["othersrc/a.rs"], ("one", "two", "three")),
        (["README.md", "docs/a.rs", "pkg/tests/test_b.py", "pkg/b.pyi", ".github/workflows/x.yml"], ()),
        ([], ()),
    ],
)
def test_files_call_for_the_targets_that_reach_them(changed: list[str], called: tuple[str, ...]) -> None:
    assert choose(changed, REACH, HERE).targets == called


def test_a_target_that_was_not_measured_is_called_for_by_whatever_counts() -> None:
    assert choose(["src/a.rs"], REACH, [*HERE, "new"]).targets == ("one", "two", "new")
    assert choose(["README.md"], REACH, [*HERE, "new"]).targets == ()


def test_a_file_that_only_absent_targets_reach_calls_for_all_that_are_there() -> None:
    choice = choose(["pkg/b.py"], REACH, ["one"])
    assert choice.targets == ("one",)
    assert choice.why == {"pkg/b.py": "covered by none that was measured here: all"}


def test_the_committed_figures_tell_the_parser_s_files_apart() -> None:
    reach = baseline.read(paths.corpus_dir() / baseline.NAME)["reach"]
    called = {
        file: set(choose([file], reach, list(reach)).targets)
        for file in (
            "safetensors/src/tensor.rs",
            "safetensors/src/slice.rs",
            "bindings/python/src/lib.rs",
            "bindings/python/py_src/safetensors/torch.py",
            "bindings/python/py_src/safetensors/numpy.py",
        )
    }
    assert called["safetensors/src/tensor.rs"] == called["bindings/python/src/lib.rs"] == set(reach)
    # Slices are taken by those that ask for slices, and torch is driven by those that drive torch.
    assert {"slices", "parallel"} <= called["safetensors/src/slice.rs"] < set(reach)
    torch = called["bindings/python/py_src/safetensors/torch.py"]
    assert {"device", "torch", "torch_writers"} <= torch
    assert torch.isdisjoint({"numpy", "writers", "slices", "deserialize"})
    assert called["bindings/python/py_src/safetensors/numpy.py"].isdisjoint({"torch", "torch_writers", "deserialize"})
