"""Builds for real. Those that could spoil something have a home of their own; cargo's dependencies are shared."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings.defects import Defect, Edit
from harness.parsers import build, registry, toolchain
from harness.parsers.registry import Parser
from tests.parsers.conftest import Python

#: The extension for the Rust API has tests of its own.
make = partial(build.build, crate_api=False)
ANSWERS = "import sys, safetensors; print(safetensors.deserialize(len(b'{}').to_bytes(8, 'little') + b'{}'))"


def sections(module: Path) -> str:
    """Names of the sections of a compiled module, as text."""
    return module.read_bytes().split(b".shstrtab")[-1].decode("latin-1")


def test_a_second_build_is_the_first(sancov: Parser) -> None:
    said: list[str] = []
    assert build.build(progress=said.append) == sancov
    assert said == []


def test_the_manifest_says_how_it_was_made(sancov: Parser) -> None:
    manifest = sancov.manifest
    assert manifest["version"] == "0.8.0"
    assert manifest["origin"] == "sdist of release 0.8.0"
    assert re.fullmatch("[0-9a-f]{64}", manifest["sdist_sha256"])
    assert manifest["compiler"]["release"] == toolchain.compiler().release
    assert "-Coverflow-checks" in manifest["flags"]["own"]
    assert manifest["crates"]["safetensors"] == "0.8.0"
    assert manifest["crates"]["pyo3"].startswith("0.")
    assert manifest["abi"] == "abi3"
    assert manifest["seconds"] > 0


def test_only_the_instrumented_build_has_counters(sancov: Parser, wheel: Parser) -> None:
    assert b"__sancov_cntrs" in sancov.module.read_bytes()
    assert b"__sancov_cntrs" not in wheel.module.read_bytes()
    assert wheel.manifest["origin"] == "wheel of release 0.8.0"


def test_panics_name_source_files_the_same_way_on_every_machine(sancov: Parser) -> None:
    content = sancov.module.read_bytes()
    assert b"safetensors/src/tensor.rs" in content
    # Debug information names cargo's registry, which no signature sees; our own folder is nowhere.
    assert str(Path.cwd() / "build").encode() not in content


def test_overflow_is_checked_in_the_parsers_own_crates(sancov: Parser, wheel: Parser) -> None:
    overflow = b"attempt to add with overflow"
    assert overflow in sancov.module.read_bytes()
    assert overflow not in wheel.module.read_bytes()


DEFECT = Defect(
    "harmless", "a", "b", ("a:1",), "c", "wrong data", "caller", "ordinary", "0.8.0", ("d",),
    edits=(
        Edit("py_src/safetensors/numpy.py", "import os\n", "import os\n\nMENDED = True\n"),
        Edit("safetensors/src/tensor.rs", "header too large", "header is too large"),
    ),
)  # fmt: skip


def test_fixes_are_built_into_a_parser_of_their_own(home: Path, sdist: Path) -> None:
    (home / "build/cache/sdists").mkdir(exist_ok=True)
    shutil.copy(sdist, home / "build/cache/sdists")
    mended = make(mend=[DEFECT])
    assert (mended.name, mended.fixes, mended.version) == ("0.8.0-mended", ("harmless",), "0.8.0")
    assert mended.manifest["origin"] == "sdist of release 0.8.0"
    assert b"header is too large" in mended.module.read_bytes()
    assert "MENDED" in (mended.site / "safetensors/numpy.py").read_text()
    said: list[str] = []
    assert make(mend=[DEFECT], progress=said.append) == mended
    assert said == []
    # Other edits of the same record are another build. One that cannot be made leaves the first.
    other = replace(DEFECT, edits=(Edit("py_src/safetensors/numpy.py", "not in it", ""),))
    with pytest.raises(HarnessError, match="the record harmless: its anchor 'not in it' does not occur"):
        make(mend=[other])
    assert registry.find("0.8.0-mended") == mended
    assert not (home / "build/cache/work").exists()


def test_a_failed_build_leaves_the_last_good_one(home: Path, checkout: Path, python: Python) -> None:
    good = make(source=checkout, name="mine")
    tensor = checkout / "safetensors/src/tensor.rs"
    tensor.write_text(tensor.read_text() + "\nfn broken() -> u8 { nothing }\n")
    with pytest.raises(HarnessError) as caught:
        make(source=checkout, name="mine")
    assert "error[E0425]: cannot find value `nothing`" in str(caught.value)
    assert "safetensors/src/tensor.rs:" in str(caught.value)
    assert Path(caught.value.hint.rsplit(" ", 1)[1]).is_file()
    assert registry.find("mine") == good
    load = "from harness.parsers import registry, runtime; runtime.load(registry.find('mine')); "
    assert python(load + ANSWERS).stdout == "[]\n"
    assert not (home / "build/cache/work").exists()


def test_a_changed_source_is_a_new_build_and_an_unchanged_one_is_not(
    home: Path, checkout: Path, python: Python
) -> None:
    first = make(source=checkout, name="mine")
    lib = checkout / "bindings/python/src/lib.rs"
    assert "Error while deserializing" in lib.read_text()
    lib.write_text(lib.read_text().replace("Error while deserializing", "Planted words"))
    second = make(source=checkout, name="mine")
    assert second.root != first.root
    assert first.module.is_file(), "a campaign may still run on it"
    load = "from harness.parsers import registry, runtime; runtime.load(registry.find('mine')); import safetensors; safetensors.deserialize(b'')"
    assert "Planted words" in python(load).stderr
    said: list[str] = []
    assert make(source=checkout, name="mine", progress=said.append) == second
    assert said == []
    assert (second.manifest["origin"], second.flavour) == (f"checkout {checkout}", "sancov")


def test_the_layout_of_the_repository_builds_from_both_folders(home: Path, checkout: Path, tmp_path: Path) -> None:
    # The sdist has the Python project at its root; the repository has it in bindings/python.
    repository = tmp_path / "repository"
    shutil.copytree(checkout, repository)
    bindings = repository / "bindings/python"
    project = (repository / "pyproject.toml").read_text().replace('manifest-path = "bindings/python/Cargo.toml"\n', "")
    (bindings / "pyproject.toml").write_text(project)
    (repository / "pyproject.toml").unlink()
    (repository / "py_src").rename(bindings / "py_src")
    built = make(source=repository, name="root")
    said: list[str] = []
    assert make(source=bindings, name="bindings", progress=said.append).root == built.root
    assert said == []
    assert built.version == "0.8.0"


def test_a_killed_build_leaves_the_last_good_one_and_the_next_works(home: Path, checkout: Path) -> None:
    good = make(source=checkout, name="mine")
    lib = checkout / "bindings/python/src/lib.rs"
    lib.write_text(lib.read_text() + "\n// changed\n")
    command = [sys.executable, "-m", "harness", "build", "--source", str(checkout), "--name", "mine"]
    child = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    try:
        # It may have to wait first for what another test builds.
        assert any("compiling" in line for line in child.stderr)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    assert registry.find("mine") == good
    after = make(source=checkout, name="mine")
    assert after.root != good.root
    assert not (home / "build/cache/work").exists()


def test_two_builds_at_once_make_one(empty_home: Path) -> None:
    said: list[str] = []
    made: list[Parser] = []

    def work() -> None:
        made.append(make(flavour="wheel", progress=said.append))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made[0] == made[1]
    assert said.count("fetching the wheel of release 0.8.0") == 1


def test_threads_of_one_process_name_their_builds_at_once(empty_home: Path) -> None:
    builds = [empty_home / "build/parsers/.builds" / name for name in ("first", "second")]
    for folder in builds:
        folder.mkdir(parents=True)
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait()
        for turn in range(200):
            build._link(f"mine{number}", builds[(number + turn) % 2])
            assert (empty_home / f"build/parsers/mine{number}").resolve() == builds[(number + turn) % 2]

    with ThreadPoolExecutor(together.parties) as pool:
        for done in [pool.submit(work, number) for number in range(together.parties)]:
            done.result()
    left = {path.name for path in (empty_home / "build/parsers").iterdir()}
    assert left == {".builds"} | {f"mine{number}" for number in range(together.parties)}


def test_old_builds_without_a_name_go_in_the_end(empty_home: Path) -> None:
    named = make(flavour="wheel")
    builds = empty_home / "build/parsers/.builds"
    for number in range(7):
        (builds / f"old{number}").mkdir()
        os.utime(builds / f"old{number}", (number, number))
    make(flavour="wheel", name="other")
    left = {folder.name for folder in builds.iterdir()}
    assert left == {named.root.name, "old3", "old4", "old5", "old6"}


def test_what_someone_put_in_the_way_is_not_removed(empty_home: Path) -> None:
    precious = empty_home / "build/parsers/mine"
    precious.mkdir(parents=True)
    (precious / "file").touch()
    with pytest.raises(HarnessError, match="is in the way and was not made by harness build"):
        make(flavour="wheel", name="mine")
    assert (precious / "file").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"release": "0.8.0", "source": Path()}, "a release and a source"),
        ({"flavour": "memory"}, "no flavour memory"),
        ({"name": "../x"}, "no name for a parser"),
        ({"release": "newest"}, "'newest' is no version"),
        ({"release": "--help"}, "'--help' is no version"),
        ({"source": Path("does-not-exist")}, "does not exist"),
    ],
)
def test_usage(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(HarnessError, match=message) as caught:
        make(**arguments)  # type: ignore[arg-type]
    assert caught.value.hint


def test_no_compiler_is_needed_for_what_users_install(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert make(flavour="wheel").version == "0.8.0"
    with pytest.raises(HarnessError, match="there is no cargo on this machine"):
        make()


@pytest.mark.long
def test_a_checkout_without_instrumentation(home: Path, checkout: Path, python: Python) -> None:
    plain = make(source=checkout, flavour="wheel")
    assert plain.name == "checkout-wheel"
    assert b"__sancov_cntrs" not in plain.module.read_bytes()
    load = "from harness.parsers import registry, runtime; runtime.load(registry.find('checkout-wheel')); "
    assert python(load + ANSWERS).stdout == "[]\n"


@pytest.mark.long
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="its pyo3 knows CPython up to 3.11")
def test_a_release_of_the_days_of_setuptools(python: Python) -> None:
    old = make("0.3.3")
    assert old.manifest["abi"] == registry.abi_of_this_python()
    assert b"__sancov_cntrs" in old.module.read_bytes()
    load = "from harness.parsers import registry, runtime; runtime.load(registry.find('0.3.3')); "
    assert python(load + ANSWERS).stdout == "[]\n"


def test_a_manifest_is_readable_by_others(sancov: Parser) -> None:
    text = (sancov.root / "manifest.json").read_text()
    assert json.loads(text) == sancov.manifest
    assert time.strptime(sancov.manifest["built"], "%Y-%m-%dT%H:%M:%S+00:00")
