"""The table of the public API in docs/targets.md: all parts of the installed package, and targets that really make the calls."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from harness.errors import HarnessError
from harness.parsers import public
from harness.parsers.api import FRAMEWORKS
from harness.parsers.registry import Parser
from harness.report import api_table
from harness.targets.files.deserialize import Deserialize
from harness.targets.registry import all_targets

PAGE = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
OURS = [target for target in all_targets().values() if type(target).__module__.startswith("harness.targets.")]


@pytest.fixture(scope="module")
def rows(safetensors: ModuleType) -> list[str]:
    return public.parts(safetensors)


def test_the_page_has_the_table(rows: list[str]) -> None:
    assert api_table.table(rows, OURS) in PAGE, "put the output of `harness targets --api` into docs/targets.md"


def test_the_rows_are_the_parts_that_the_stub_of_the_package_lists(safetensors: ModuleType, rows: list[str]) -> None:
    stub = ast.parse(Path(str(safetensors.__file__)).with_name("__init__.pyi").read_text())
    listed = set()
    for node in stub.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            listed.add(node.name)
        if isinstance(node, ast.ClassDef) and node.name != "SafetensorError":
            methods = (one.name for one in node.body if isinstance(one, ast.FunctionDef))
            listed |= {f"{node.name}.{name}" for name in methods if name != "__init__"}
    assert len(listed) > 15
    own = {row for row in rows if row.partition(".")[0] not in ("PySafeSlice", "_safe_open_handle", *FRAMEWORKS)}
    assert own - {"TensorSpec.__repr__"} == listed
    of_class = {row.partition(".")[2] for row in rows if row.startswith("safe_open.")}
    assert {row.partition(".")[2] for row in rows if row.startswith("_safe_open_handle.")} == of_class
    assert [row for row in rows if row.startswith("PySafeSlice.")] == [
        "PySafeSlice.__getitem__", "PySafeSlice.get_dtype", "PySafeSlice.get_shape",
    ]  # fmt: skip


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_the_rows_of_a_module_are_the_functions_that_it_defines(
    safetensors: ModuleType, rows: list[str], framework: str
) -> None:
    pytest.importorskip(framework)
    module = importlib.import_module(f"safetensors.{framework}")
    functions = {
        name
        for name, value in vars(module).items()
        if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__
    }
    own = {row.partition(".")[2] for row in rows if row.startswith(f"{framework}.")}
    assert own == {name for name in functions if name[0] != "_"}
    assert len(own) >= 4


def test_no_row_stands_twice_and_every_module_has_rows(rows: list[str]) -> None:
    assert len(set(rows)) == len(rows)
    assert {row.partition(".")[0] for row in rows} >= set(FRAMEWORKS)


def test_every_target_of_the_parser_drives_a_part() -> None:
    idle = [target.name for target in OURS if target.uses_parser and not target.drives]
    assert idle == ["crate"], "the table has the Python API; crate drives the Rust API"


def test_every_reason_explains_a_cell(rows: list[str]) -> None:
    cells = api_table.cells(rows, OURS)
    used = {api_table.reason(row, column) for (row, column), targets in cells.items() if not targets}
    assert used == set(range(1, len(api_table.REASONS) + 1)), "remove the reasons that explain no cell"


def test_a_cell_without_target_and_reason_is_named(rows: list[str]) -> None:
    fewer = [target for target in OURS if target.name != "sizes"]
    with pytest.raises(HarnessError, match=r"no target drives torch\.save_model in the column 'size'") as failure:
        api_table.table(rows, fewer)
    assert failure.value.hint


@pytest.mark.parametrize(
    ("drives", "words"),
    [
        ((("values", "safe_open.get_tensr"),), "drives 'safe_open.get_tensr', which is no part of the public API"),
        ((("values speed", "deserialize"),), "names the column 'speed', which the table of the API lacks"),
    ],
)
def test_a_wrong_declaration_is_named(
    rows: list[str], drives: tuple[tuple[str, str], ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(Deserialize):
        name = "wrong"

    monkeypatch.setattr(Wrong, "drives", drives)
    with pytest.raises(HarnessError, match="target wrong") as failure:
        api_table.table(rows, [Wrong()])
    assert words in str(failure.value)
    assert failure.value.hint


# -- the declared calls are made ------------------------------------------------------------------------------------------

# Each target runs in this process, on its seeds, with a parser that notes the calls.
_RECORD = """
import fnmatch, importlib, importlib.util, json, sys
from pathlib import Path
from harness import corpus_store, paths
from harness.parsers import public, registry, runtime
from harness.targets.registry import get_target

package = runtime.load(registry.find(None, flavour="wheel"))
rows = public.parts(package)
made = set()

def noted(name, function, kind=None):
    def call(*arguments, **more):
        made.add(name)
        result = function(*arguments, **more)
        return Noted(kind, result) if kind else result
    return call

class Noted:
    def __init__(self, kind, inner):
        self.kind, self.inner = kind, inner
    def __getattr__(self, name):
        found = getattr(self.inner, name)
        return noted(f"{self.kind}.{name}", found, "PySafeSlice" if name == "get_slice" else None)
    def __enter__(self):
        made.add(f"{self.kind}.__enter__")
        self.inner.__enter__()
        return self
    def __exit__(self, *error):
        made.add(f"{self.kind}.__exit__")
        return self.inner.__exit__(*error)
    def __getitem__(self, index):
        made.add(f"{self.kind}.__getitem__")
        return self.inner[index]

names = sys.argv[1:]
absent = [name for name in ("torch", "paddle") if importlib.util.find_spec(name) is None]
for module in [name for name in ("numpy", "torch", "paddle") if name not in absent]:
    module = importlib.import_module(f"safetensors.{module}")
    for row in rows:
        holder, _, name = row.partition(".")
        if module.__name__ == f"safetensors.{holder}":
            setattr(module, name, noted(row, getattr(module, name)))
for place in (package, package._safetensors_rust):
    for name in ("deserialize", "serialize", "serialize_file", "TensorSpec"):
        setattr(place, name, noted(name, getattr(package._safetensors_rust, name)))
    for name in ("safe_open", "_safe_open_handle"):
        setattr(place, name, noted(name, getattr(package._safetensors_rust, name), name))

lacking = {}
for name in names:
    target = get_target(name)
    globs = [glob for _, parts in target.drives for glob in parts.split()]
    # The binding raises errors by itself, and no call reads the fields of a specification.
    wanted = {row for row in rows for glob in globs if fnmatch.fnmatchcase(row, glob)} - {"SafetensorError"}
    wanted = {row for row in wanted if row.partition(".")[0] not in absent and not row.startswith("TensorSpec.")}
    run = target.open(package)
    made.clear()
    seeds = [*target.seeds().values(), *(data for _, data in corpus_store.list_seeds(paths.corpus_dir() / name).seeds)]
    for data in seeds:
        if not target.hazard(data):
            run(data)
        if made >= wanted:
            break
    lacking[name] = sorted(wanted - made)
print(json.dumps(lacking))
"""


def test_the_seeds_of_a_target_make_the_calls_that_it_declares(wheel_parser: Parser) -> None:
    names = [
        target.name for target in OURS if target.drives and not target.missing() and not target.runs_in_fork_server
        # It makes its calls in child processes.
        and target.name != "resources"
    ]  # fmt: skip
    assert len(names) > 8
    done = subprocess.run(
        [sys.executable, "-c", _RECORD, *names], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {name: [] for name in names}
