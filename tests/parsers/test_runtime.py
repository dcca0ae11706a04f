"""Each test in a process of its own: one process loads one parser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.parsers import build, registry, runtime
from harness.parsers.registry import Parser
from tests.parsers.conftest import Python

LOAD = """
import sys
from harness.errors import HarnessError
from harness.parsers import registry, runtime
def load(name, **options):
    try:
        return runtime.load(registry.find(name), **options)
    except HarnessError as error:
        print("refused:", error)
"""
FILE = "b'\\x02\\0\\0\\0\\0\\0\\0\\0{}'"


@pytest.mark.parametrize("name", ["0.8.0", "0.8.0-wheel"])
def test_a_parser_reads_outside_the_fuzzer(sancov: Parser, wheel: Parser, python: Python, name: str) -> None:
    done = python(LOAD + f"module = load({name!r}); print(module.deserialize({FILE}), module.__file__)")
    assert done.stderr == ""
    answer, file = done.stdout.split()
    assert answer == "[]"
    assert Path(file).is_relative_to(registry.find(name).root)


def test_the_plain_wheel_needs_no_engine(wheel: Parser, python: Python) -> None:
    done = python(LOAD + "load('0.8.0-wheel'); print('atheris' in sys.modules)")
    assert done.stdout == "False\n"


def test_the_mutator_hook_is_loaded_only_where_one_is_set(sancov: Parser, python: Python) -> None:
    show = "; print('atheris.custom_mutator' in sys.modules, 'atheris.custom_crossover' in sys.modules)"
    assert python(LOAD + "load('0.8.0')" + show).stdout == "False False\n"
    assert python(LOAD + "load('0.8.0', mutator=True)" + show).stdout == "True False\n"


def test_the_mode_of_dlopen_is_given_back(sancov: Parser, python: Python) -> None:
    done = python(LOAD + "before = sys.getdlopenflags(); load('0.8.0'); print(sys.getdlopenflags() == before)")
    assert done.stdout == "True\n"


def test_loading_again_is_loading_once(sancov: Parser, python: Python) -> None:
    assert python(LOAD + "print(load('0.8.0') is load('0.8.0'))").stdout == "True\n"


def test_a_second_parser_is_refused(sancov: Parser, wheel: Parser, python: Python) -> None:
    done = python(LOAD + "load('0.8.0'); load('0.8.0-wheel')")
    assert done.stdout == "refused: parser 0.8.0 is loaded in this process; 0.8.0-wheel cannot be beside it\n"


def test_another_safetensors_is_not_taken_for_the_parser(sancov: Parser, python: Python, tmp_path: Path) -> None:
    (tmp_path / "safetensors.py").touch()
    program = f"sys.path.insert(0, {str(tmp_path)!r}); import safetensors; load('0.8.0')"
    assert python(LOAD + program).stdout == "refused: another safetensors is loaded in this process\n"


def test_the_site_of_a_parser_wins_over_an_installed_one(sancov: Parser, python: Python, tmp_path: Path) -> None:
    (tmp_path / "safetensors.py").touch()
    program = f"sys.path.insert(0, {str(tmp_path)!r}); print(load('0.8.0').__version__)"
    assert python(LOAD + program).stdout == "0.8.0\n"


def test_a_mutator_cannot_be_added_later(sancov: Parser, python: Python) -> None:
    done = python(LOAD + "runtime.prepare(); load('0.8.0', mutator=True)")
    assert done.stdout == "refused: the engine is already set up without a mutator\n"


def test_a_parser_for_another_python_is_refused(sancov: Parser, python: Python) -> None:
    program = """
import dataclasses
parser = registry.find()
try:
    runtime.load(dataclasses.replace(parser, manifest={**parser.manifest, "abi": "cpython-39-x86_64-linux-gnu"}))
except HarnessError as error:
    print(error)
"""
    assert "parser 0.8.0 cannot be loaded: it was built for cpython-39" in python(LOAD + program).stdout


def test_a_coverage_build_leaves_no_profile_where_the_user_stands(python: Python, tmp_path: Path) -> None:
    build.build(flavour="coverage")
    program = LOAD + f"print(load('0.8.0-coverage').deserialize({FILE}))"
    assert python(program, cwd=tmp_path).stdout == "[]\n"
    assert list(tmp_path.iterdir()) == []
    named = python(program, cwd=tmp_path, env={"LLVM_PROFILE_FILE": str(tmp_path / "x.profraw")})
    assert named.stdout == "[]\n"
    assert [path.name for path in tmp_path.iterdir()] == ["x.profraw"]


@pytest.mark.long
def test_address_sanitizer_wants_its_environment(python: Python) -> None:
    parser = build.build(flavour="address")
    program = LOAD + f"module = load('0.8.0-address'); print(module and module.deserialize({FILE}))"
    assert "refused: parser 0.8.0-address needs AddressSanitizer preloaded" in python(program).stdout
    done = python(program, env=runtime.environment(parser))
    assert (done.stdout, done.returncode) == ("[]\n", 0)


def test_the_environment_is_empty_but_for_address_sanitizer(sancov: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime.environment(sancov, mutator=True) == {}
    assert runtime.internal_libfuzzer(sancov)
    address = build.build(flavour="address")
    assert not runtime.internal_libfuzzer(address)
    monkeypatch.setenv("ASAN_OPTIONS", "verbosity=0")
    given = runtime.environment(address, mutator=True)
    assert given["ASAN_OPTIONS"].startswith("verbosity=0:detect_leaks=0")
    libraries = given["LD_PRELOAD"].split()
    assert [os.path.basename(path).split(".")[0] for path in libraries] == ["asan_with_fuzzer", "custom_mutator"]
    assert all(os.path.isfile(path) for path in libraries)
    assert "custom_mutator" not in runtime.environment(address)["LD_PRELOAD"]
