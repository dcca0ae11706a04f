from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.parsers import toolchain


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    toolchain.compiler.cache_clear()
    yield
    toolchain.compiler.cache_clear()


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


RUSTC = "cat <<'X'\nrustc 1.90.0\nrelease: 1.90.0\nhost: x86_64-unknown-linux-gnu\ncommit-hash: abc\nLLVM version: 77.1.2\nX"


def test_the_compiler_says_what_it_is() -> None:
    said = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    compiler = toolchain.compiler()
    assert f"host: {compiler.host}\n" in said
    assert f"release: {compiler.release}\n" in said
    assert f"LLVM version: {compiler.llvm_major}." in said
    assert compiler.number >= toolchain.OLDEST_RUST


@pytest.mark.parametrize(("release", "number"), [("1.95.0", (1, 95)), ("1.97.0-nightly", (1, 97)), ("2.0.1", (2, 0))])
def test_version_numbers(release: str, number: tuple[int, int]) -> None:
    assert toolchain.Compiler(release, "h", 22, "c").number == number


def test_a_machine_without_rust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RUSTC", raising=False)
    for ask in (toolchain.cargo, toolchain.compiler):
        with pytest.raises(HarnessError, match=r"there is no (cargo|rustc) on this machine") as caught:
            ask()
        assert "rustup" in caught.value.hint


def test_a_compiler_that_does_not_work_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "rustc", "echo 'no default toolchain' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RUSTC", raising=False)
    with pytest.raises(HarnessError, match="does not answer"):
        toolchain.compiler()


def test_tools_of_another_llvm_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "rustc", RUSTC)
    script(tmp_path / "llvm-cov", "echo 'Debian LLVM version 14.0.6'")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("RUSTC", raising=False)
    with pytest.raises(HarnessError, match="no llvm-cov of LLVM 77") as caught:
        toolchain.llvm_tool("llvm-cov")
    assert "apt-get install llvm-77" in caught.value.hint
    script(tmp_path / "llvm-cov-77", "echo 'LLVM version 77.1.8'")
    assert toolchain.llvm_tool("llvm-cov") == tmp_path / "llvm-cov-77"


def test_a_build_is_read_by_the_tools_of_the_compiler_that_made_it(other_compiler: toolchain.Compiler) -> None:
    with pytest.raises(HarnessError, match="no llvm-profdata of LLVM 77, which rustc 1.90.0 needs") as caught:
        toolchain.coverage_tools()
    assert caught.value.hint == "as root: apt-get install llvm-77; or: rustup component add llvm-tools"
    earlier = toolchain.Compiler("1.0.0", other_compiler.host, 76, "abc")
    with pytest.raises(HarnessError, match="no llvm-profdata of LLVM 76, which rustc 1.0.0 needs") as caught:
        toolchain.coverage_tools(earlier)
    # rustup has the tools of the present compiler alone.
    assert caught.value.hint == "as root: apt-get install llvm-76"
    assert not toolchain.has_coverage_tools(other_compiler)


def test_the_module_tells_makefiles_whether_there_are_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "harness.parsers.toolchain"]
    script(tmp_path / "rustc", RUSTC)
    for name in ("llvm-cov-77", "llvm-profdata-77"):
        script(tmp_path / name, "echo 'LLVM version 77.0.0'")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("RUSTC", raising=False)
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout.split()) == (
        0,
        [str(tmp_path / "llvm-profdata-77"), str(tmp_path / "llvm-cov-77")],
    )
    (tmp_path / "llvm-profdata-77").unlink()
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "apt-get install llvm-77" in bad.stderr
