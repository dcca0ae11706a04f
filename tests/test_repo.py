"""The repository agrees with itself, and holds what it promises in so many words."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from harness.cli.main import group

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMMANDS = group.list_commands(click.Context(group))


def committed() -> list[Path]:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    """Committed text files; seeds and reproduced inputs are data, whatever bytes they hold."""
    found = []
    for path in committed():
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith("corpus/") and path.suffix != ".safetensors" and not path.name.startswith("input"):
            found.append((name, path.read_text(encoding="utf-8")))
    return found


def command(name: str) -> click.Command:
    found = group.get_command(click.Context(group), name)
    assert found is not None
    return found


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {name: text.count("\n") for name, text in texts() if name.endswith(".py")}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_no_path_of_one_machine_and_no_address_of_a_package_index_is_committed() -> None:
    # Spelled in pieces, so that this file passes too.
    hosts = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("crates", "io"))]
    pattern = re.compile("|".join([*map(re.escape, hosts), r"/(?:work|root|home)/[a-z.]"]))
    assert {name: found[0] for name, text in texts() if (found := pattern.search(text))} == {}


def test_nothing_is_left_to_be_done_later() -> None:
    pattern = re.compile("|".join(a + b for a, b in (("TO", "DO"), ("FIX", "ME"), ("XX", "X:"))))
    # An anchor of a record is the text of the parser's source.
    own = [(name, text) for name, text in texts() if not name.startswith("crashes/defects/")]
    assert [name for name, text in own if name.endswith((".py", ".toml", ".yml")) and pattern.search(text)] == []


def test_every_module_says_what_it_is_for() -> None:
    modules = [p for p in (ROOT / "harness").rglob("*.py") if p.read_text() and "_data" not in p.parts]
    assert [str(p.relative_to(ROOT)) for p in modules if not ast.get_docstring(ast.parse(p.read_text()))] == []


def test_every_package_has_its_layer_and_its_tests() -> None:
    packages = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one["type"] == "layers" and one["containers"] == ["harness"]]
    assert {name.strip() for layer in layers for name in layer.split("|")} == packages
    tested = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    empty = {name for name in packages if len(list((ROOT / "harness" / name).glob("*.py"))) == 1}
    assert packages - tested - empty == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_row_in_the_documentation(name: str) -> None:
    assert re.search(rf"^\| `harness {name}\b", (ROOT / "docs/commands.md").read_text(), re.MULTILINE)


def test_links_between_pages_lead_somewhere() -> None:
    pages = [ROOT / name for name, _ in texts() if name.endswith(".md")]
    broken = []
    for page in pages:
        for place in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
            name, _, anchor = place.partition("#")
            there = (page.parent / name).resolve() if name else page
            if "://" in place:
                continue
            if not there.exists() or (anchor and anchor not in anchors(there)):
                broken.append(f"{page.relative_to(ROOT)}: {place}")
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as a forge makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_that_it_takes(name: str) -> None:
    shown = command(name).get_help(click.Context(command(name), info_name=name))
    examples = re.findall(rf"harness {name}\b.*", re.sub(r"\n +(?! *harness)", " ", shown.split("Example", 1)[1]))
    assert examples
    words = shlex.split(re.split(r" {2,}|\(", examples[0])[0])
    verb = command(name)
    arguments = words[2:]
    # A group may do something by itself; what follows is then its option.
    while isinstance(verb, click.Group) and arguments and not arguments[0].startswith("-"):
        inner = verb.get_command(click.Context(verb), arguments.pop(0))
        assert inner is not None
        verb = inner
    # The parser alone: files named in an example do not exist here.
    verb.make_parser(click.Context(verb)).parse_args(arguments)


def test_the_extras_are_the_frameworks_and_our_own_tools() -> None:
    extras = set(PROJECT["project"]["optional-dependencies"])
    frameworks = {"torch", "jax", "tensorflow", "paddle", "mlx"}
    assert extras == {*frameworks, "hub", "checkpoints", "cluster", "mutants", "test", "dev"}


def locked(name: str) -> list[tuple[str, str, str]]:
    """Name, version and marker of each entry of a lock file."""
    return re.findall(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.*?))? \\$", (ROOT / name).read_text(), re.MULTILINE)


LOCKED = locked("requirements.lock")
TORCH = locked("requirements-torch.lock")


@pytest.mark.parametrize("name", [path.name for path in sorted(ROOT.glob("requirements*.lock"))])
def test_every_entry_of_a_lock_has_its_hashes(name: str) -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text().strip())
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert len(entries) == len(locked(name))


def test_every_dependency_is_locked() -> None:
    wanted = [
        *PROJECT["project"]["dependencies"],
        *(PROJECT["project"]["optional-dependencies"][x][-1] for x in ("test", "dev")),
    ]
    names = {name for name, _, _ in LOCKED}
    assert [text for text in wanted if Requirement(text).name not in names] == []


def test_torch_is_locked_beside_what_all_need() -> None:
    (torch,) = [version for name, version, _ in TORCH if name == "torch"]
    assert torch in Requirement(PROJECT["project"]["optional-dependencies"]["torch"][0]).specifier
    both = {name: version for name, version, _ in LOCKED}
    assert [name for name, version, _ in TORCH if both.get(name, version) != version] == []


@pytest.mark.parametrize("extra", ["checkpoints", "cluster", "mutants"])
def test_libraries_that_some_commands_need_are_locked_beside_the_rest(extra: str) -> None:
    versions: dict[str, set[str]] = {}
    for name, version, _ in locked(f"requirements-{extra}.lock"):
        versions.setdefault(name, set()).add(version)
    for text in PROJECT["project"]["optional-dependencies"][extra]:
        wanted = Requirement(text)
        assert versions[wanted.name.replace("_", "-")] <= set(
            wanted.specifier.filter(versions[wanted.name.replace("_", "-")])
        )
    assert versions.keys() & {name for name, _, _ in [*LOCKED, *TORCH]} == set()


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_the_torch_that_is_installed_is_the_one_that_is_locked() -> None:
    applies = {name: version for name, version, marker in TORCH if not marker or Marker(marker).evaluate()}
    assert {name: importlib.metadata.version(name) for name in applies} == applies


def test_what_is_installed_is_what_is_locked() -> None:
    applies = {name: version for name, version, marker in LOCKED if not marker or Marker(marker).evaluate()}
    installed = {name: importlib.metadata.version(name) for name in applies}
    assert installed == applies


def test_actions_are_pinned_by_commit_and_get_no_permission_by_default() -> None:
    workflows = sorted((ROOT / ".github/workflows").glob("*.yml"))
    assert workflows
    for path in (*workflows, ROOT / "action.yml"):
        text = path.read_text()
        # An action has the permissions of its caller.
        assert path.name == "action.yml" or re.search(r"^permissions: \{\}$", text, re.MULTILINE), path.name
        used = re.findall(r"uses: *(\S+)", text)
        # A workflow of this very commit needs no other pin.
        pinned = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}|\./\.github/workflows/[\w-]+\.yml")
        assert [action for action in used if not pinned.fullmatch(action)] == []


@pytest.mark.parametrize(
    "name", [f".ci/{path.name}" for path in sorted((ROOT / ".ci").iterdir()) if not path.suffix and path.is_file()]
)
def test_scripts_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["sh", "-n", ROOT / name], check=True)


def test_imports_go_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
