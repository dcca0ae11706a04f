from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from harness.cli.build import command
from harness.errors import HarnessError
from harness.parsers import registry
from harness.parsers.registry import Parser


def plant(home: Path, name: str, **changed: object) -> Path:
    """A folder that looks like a build."""
    folder = home / "build" / "parsers" / name
    (folder / "site" / "safetensors").mkdir(parents=True)
    manifest = {"flavour": "sancov", "version": "0.8.0", "abi": "abi3", "module": "safetensors/m.abi3.so"} | changed
    (folder / "site" / "safetensors" / "m.abi3.so").touch()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    return tmp_path


def test_the_default_is_the_newest_release_instrumented(sancov: Parser) -> None:
    found = registry.find()
    assert (found.name, found.flavour, found.version) == ("0.8.0", "sancov", "0.8.0")
    assert found.module.is_file()
    assert sancov.name in {parser.name for parser in registry.available()}


def test_a_flavour_is_found_by_the_name_of_the_plain_build(sancov: Parser, wheel: Parser) -> None:
    assert registry.find("0.8.0", "wheel") == wheel
    assert registry.find(None, "wheel") == wheel
    assert registry.find("0.8.0", "sancov") == sancov
    assert registry.find("0.8.0-wheel", "wheel") == wheel


@pytest.mark.parametrize(
    ("name", "flavour", "expected"),
    [
        (None, None, {"release": "0.8.0", "coverage": False, "wheel": False}),
        ("0.7.0", "wheel", {"release": "0.7.0", "wheel": True}),
        ("0.7.0-coverage", None, {"release": "0.7.0", "coverage": True}),
        ("0.5.3", "address", {"release": "0.5.3", "sanitizer": "address"}),
        ("0.8.0-mended", "wheel", {"release": "0.8.0", "fixes": True, "wheel": True}),
        ("mine", None, {"release": None, "name": "mine", "source": Path("DIR")}),
        ("mine", "coverage", {"release": None, "name": "mine-coverage", "source": Path("DIR"), "coverage": True}),
    ],
)
def test_the_command_that_an_error_gives_is_one_that_build_takes(
    empty: Path, name: str | None, flavour: str | None, expected: dict[str, object]
) -> None:
    with pytest.raises(HarnessError, match=r"no parser .* has been built \(there are: none\)") as caught:
        registry.find(name, flavour)
    program, verb, *arguments = shlex.split(caught.value.hint)
    assert (program, verb) == ("harness", "build")
    parsed = command.make_context("build", arguments).params
    assert {key: parsed[key] for key in expected} == expected


def test_a_build_for_another_python_is_listed_but_not_handed_out(empty: Path) -> None:
    plant(empty, "0.3.3", abi="cpython-39-x86_64-linux-gnu", version="0.3.3")
    assert [parser.name for parser in registry.available()] == ["0.3.3"]
    with pytest.raises(HarnessError, match=r"cannot be loaded: it was built for cpython-39") as caught:
        registry.find("0.3.3")
    assert "harness build --release 0.3.3" in caught.value.hint


def test_a_build_of_another_flavour_is_refused(empty: Path) -> None:
    plant(empty, "mine", flavour="coverage")
    plant(empty, "mine-wheel", flavour="sancov")
    assert registry.find("mine").flavour == "coverage"
    with pytest.raises(HarnessError, match="mine-wheel is a sancov build, not wheel"):
        registry.find("mine", "wheel")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"flavour": "sancov"}', "\udcff"])
def test_a_damaged_manifest_hides_its_build_and_no_other(empty: Path, text: str) -> None:
    plant(empty, "good")
    (plant(empty, "bad") / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert [parser.name for parser in registry.available()] == ["good"]


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "(there are: p00)"),
        (8, "(there are: p00, p01, p02, p03, p04, p05, p06, p07)"),
        (30, "(there are: p00, p01, p02, p03, p04, p05, p06, p07 and 22 more)"),
    ],
)
def test_an_error_lists_the_first_of_many_builds(empty: Path, count: int, words: str) -> None:
    for number in range(count):
        plant(empty, f"p{number:02}")
    with pytest.raises(HarnessError) as caught:
        registry.find("mine")
    assert str(caught.value) == f"no parser mine has been built {words}"


def test_a_build_without_its_module_is_none(empty: Path) -> None:
    (plant(empty, "gone") / "site/safetensors/m.abi3.so").unlink()
    assert registry.read("gone") is None


@pytest.mark.parametrize("name", ["", "..", "../x", "/etc", "-x", "a b", ".builds"])
def test_no_name_leads_out_of_the_folder(empty: Path, name: str) -> None:
    assert registry.read(name) is None


def test_a_build_is_known_by_what_runs_of_it(empty: Path) -> None:
    def content() -> str:
        found = registry.read("one")
        assert found is not None
        return found.content

    root = plant(empty, "one")
    first = content()
    (root / "site" / "safetensors-1.dist-info").mkdir()
    (root / "site" / "safetensors-1.dist-info" / "RECORD").write_text("a path of this machine")
    (root / "site" / "__pycache__").mkdir()
    (root / "site" / "__pycache__" / "x.pyc").write_bytes(b"compiled")
    assert content() == first
    (root / "site" / "more.py").write_text("1")
    second = content()
    (root / "site" / "more.py").rename(root / "site" / "other.py")
    third = content()
    (root / registry.NOVELTY).write_bytes(b"library")
    assert len({first, second, third, content()}) == 4
