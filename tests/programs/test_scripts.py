"""Scripts of programs: they import the modules that they use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import corpus_store, paths
from harness.programs import scripts
from harness.targets.registry import get_target


def test_a_module_of_the_standard_library_is_imported_where_an_attribute_of_it_is_used() -> None:
    assert scripts.imports("class Items(array.array):\n    pass\nmath.prod(array.typecodes)") == [
        "import array",
        "import math",
    ]


@pytest.mark.parametrize(
    "text", ["array = list()\narray.clear()", "def f(array):\n    return array.size", "for io in []:\n    io.close()"]
)
def test_a_variable_with_the_name_of_a_module_is_none(text: str) -> None:
    assert scripts.imports(text) == []


def test_a_statement_that_defines_two_names_is_taken_once() -> None:
    assert scripts.needed("A, B = 1, 2\nC = 3", "f(A, B)") == "A, B = 1, 2"


def test_the_scripts_of_the_seeds_define_every_name() -> None:
    target = get_target("lifetimes")
    seeds = corpus_store.list_seeds(paths.corpus_dir() / target.name).seeds
    made = [script for _, data in seeds if (script := target.script(data)) is not None]
    assert len(made) == len(seeds) > 0
    for script in made:
        text = scripts.whole("A seed.", "\n".join([script.setup, *(call.line for call in script.calls)]))
        done = subprocess.run(
            [sys.executable, "-m", "ruff", "check", "--isolated", "--quiet", "--select", "F821", "-"],
            input=text, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
