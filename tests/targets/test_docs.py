"""docs/targets.md has every target, the defaults of the class, and a tutorial that works as it stands."""

from __future__ import annotations

import doctest
import inspect
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import pytest

import harness
from harness.targets.base import Target
from harness.targets.registry import all_targets

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "targets.md").read_text(encoding="utf-8")
OURS = {
    name: target for name, target in all_targets().items() if type(target).__module__.startswith("harness.targets.")
}
REQUIRED = {"name", "description"}


def rows(head: str) -> dict[str, list[str]]:
    """The cells of the table below the line ``head``, by the name in their first cell."""
    lines = PAGE[PAGE.index(head) :].splitlines()[2:]
    table = [[cell.strip() for cell in line[1:-1].split("|")] for line in itertools.takewhile(bool, lines)]
    return {re.split(r"[`(]", cells[0])[1]: cells for cells in table}


def size(count: int) -> str:
    return f"{count >> 10} KiB" if count >= 1 << 10 else f"{count} bytes"


def memory(megabytes: int) -> str:
    return f"{megabytes >> 10} GB" if megabytes >= 1 << 10 else f"{megabytes} MB"


def test_every_target_has_its_row_with_its_needs_limits_and_oracles() -> None:
    written = {name: cells[3:] for name, cells in rows("| target | input |").items()}
    assert written == {
        name: [
            ", ".join(target.needs),
            f"{size(target.max_len)}, {memory(target.memory_mb)}",
            ", ".join(f"`{oracle.rules[0].oracle}`" for oracle in target.oracles),
        ]
        for name, target in OURS.items()
    }


def test_every_attribute_of_a_target_has_its_row_with_its_default() -> None:
    attributes = rows("| attribute | default |")
    assert set(attributes) == set(Target.__annotations__)
    for name in set(attributes) - REQUIRED:
        default = getattr(Target, name)
        plain = dict(default) if isinstance(default, MappingProxyType) else default
        assert attributes[name][1] == f"`{plain!r}`", name


def test_every_method_that_targets_override_has_its_row_with_its_arguments() -> None:
    methods = rows("| method | default |")
    for name, cells in methods.items():
        arguments = list(inspect.signature(getattr(Target, name)).parameters)[1:]
        assert cells[0] == f"`{name}({', '.join(arguments)})`"
    own = {name for target in OURS.values() for kind in type(target).__mro__[:-3] for name in vars(kind)}
    overridden = {name for name in own & set(vars(Target)) if name[0] != "_" and callable(getattr(Target, name))}
    assert overridden <= set(methods)
    assert "hazard" in overridden


# -- the tutorial ---------------------------------------------------------------------------------------------

_FILE = re.compile(r"`([\w/-]+\.(?:py|toml))`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONSOLE = re.compile(r"```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d[\d.]*(?: %|/s)?|\bdots?\b")


@pytest.fixture
def copy(tmp_path: Path, sancov_parser: object, wheel_parser: object) -> Path:
    """A copy of what the tutorial touches, beside the parsers of this project."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(harness.__file__).parent, tmp_path / "harness", ignore=ignored)
    shutil.copytree(REPOSITORY / "crashes", tmp_path / "crashes")
    (tmp_path / "tests").mkdir()
    for name in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    for name in ("corpus", "build", "site"):
        (tmp_path / name).mkdir()
    (tmp_path / "build" / "parsers").symlink_to(Path("build/parsers").resolve())
    return tmp_path


def run(copy: Path, command: str) -> str:
    """What a command of the page prints, the folder left out."""
    tools = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {
        name: value for name, value in os.environ.items() if name not in ("HARNESS_HOME", "HARNESS_LONG", "COLUMNS")
    }
    environment |= {"PATH": tools, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'site'}", "PIP_TARGET": str(copy / "site")}
    # The command of the copy, and not of the installed package.
    function = 'harness() { python -m harness "$@"; }\n'
    done = subprocess.run(
        ["bash", "-c", function + command],
        cwd=copy, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.replace(f"{copy}{os.sep}", "")


def commands(console: str) -> list[tuple[str, str]]:
    """Each command of a block, a here-document included, and what the page says that it prints."""
    found: list[list[str]] = []
    here = False
    for line in console.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
            here = "<<'END'" in line
        elif here:
            found[-1][0] += line
            here = line != "END\n"
        else:
            found[-1][1] += line
    return [(command, wanted) for command, wanted in found]


def alike(wanted: str, got: str) -> bool:
    """Equal but for numbers; ``...`` stands for any text."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(_NUMBER.sub("N", wanted), _NUMBER.sub("N", got), flags)


@pytest.mark.long
def test_the_tutorial_works_as_it_stands(copy: Path) -> None:
    parts = re.split(r"^(?=## [123]\. )", PAGE, flags=re.MULTILINE)[1:]
    assert len(parts) == 3
    parts[2] = parts[2].partition("\n## ")[0]
    ran = 0
    for part in parts:
        # In the order of the page: commands of the third part move files of the first.
        pieces = [(found.start(), found) for kind in (_FILE, _CONSOLE) for found in kind.finditer(part)]
        for _, found in sorted(pieces, key=lambda piece: piece[0]):
            if found.re is _FILE:
                path = copy / found[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                if "harness" in path.parts[len(copy.parts) :]:
                    (path.parent / "__init__.py").touch()
                path.write_text(found[2])
                continue
            for command, wanted in commands(found[1]):
                got = run(copy, command)
                assert alike(wanted, got), f"$ {command}\n{got}"
                ran += 1
    assert ran == PAGE.count("\n$ ")
