"""The Rust compiler, and the LLVM tools that read its coverage profiles."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from harness.errors import HarnessError

# The oldest compiler for the newest release of the parser and its dependencies.
OLDEST_RUST = (1, 83)

GET_RUST = (
    "install Rust: your distribution's rustup package, then `rustup default stable`; with rustup there already, "
    "put ~/.cargo/bin on PATH"
)


@dataclasses.dataclass(frozen=True)
class Compiler:
    """The output of ``rustc -vV``."""

    release: str
    host: str
    llvm_major: int
    commit: str

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor version."""
        major, minor = re.findall(r"\d+", self.release)[:2]
        return int(major), int(minor)


def cargo() -> Path:
    """The cargo on PATH. Raises HarnessError where there is none."""
    return _need("cargo")


@functools.cache
def compiler() -> Compiler:
    """The compiler that cargo would use (``RUSTC``, or rustc on PATH). Raises HarnessError where there is none."""
    rustc = os.environ.get("RUSTC") or str(_need("rustc"))
    try:
        answer = subprocess.run([rustc, "-vV"], capture_output=True, text=True, timeout=60, check=True).stdout
        fields = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
        llvm = int(fields["LLVM version"].split(".")[0])
        return Compiler(fields["release"], fields["host"], llvm, fields.get("commit-hash", "unknown"))
    except (OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
        raise HarnessError(f"{rustc} does not answer: {error}", hint=GET_RUST) from error


def llvm_tool(name: str) -> Path:
    """``llvm-profdata`` or ``llvm-cov`` of the compiler's LLVM major version; other versions cannot read its profiles.

    Searched in rustup's llvm-tools, under Debian's names, then on PATH. Raises HarnessError without one.
    """
    major = compiler().llvm_major
    candidates = [_rustup_tools() / name, Path(f"/usr/lib/llvm-{major}/bin/{name}")]
    candidates += [Path(found) for spelling in (f"{name}-{major}", name) if (found := shutil.which(spelling))]
    for candidate in candidates:
        if candidate.is_file() and _llvm_major(candidate) == major:
            return candidate
    raise HarnessError(
        f"no {name} of LLVM {major}, which rustc {compiler().release} needs",
        hint=f"as root: apt-get install llvm-{major}; or: rustup component add llvm-tools",
    )


def _need(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise HarnessError(f"there is no {name} on this machine, and the parser is written in Rust", hint=GET_RUST)
    return Path(found)


def _rustup_tools() -> Path:
    try:
        command = ["rustc", "--print", "target-libdir"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return Path(os.devnull)
    return Path(answer.strip()).parent / "bin"


@functools.lru_cache(1)
def symbolizer() -> Path | None:
    """``llvm-symbolizer`` of the compiler's LLVM, else any of that plain name; None without one."""
    with contextlib.suppress(HarnessError):
        return llvm_tool("llvm-symbolizer")
    found = shutil.which("llvm-symbolizer")
    return Path(found) if found else None


def _llvm_major(tool: Path) -> int | None:
    try:
        command = [str(tool), "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"LLVM version (\d+)", answer)
    return int(match[1]) if match else None


def main() -> None:
    """``python -m harness.parsers.toolchain``: prints the paths of the LLVM tools; exit status 2 without them."""
    try:
        for name in ("llvm-profdata", "llvm-cov"):
            print(llvm_tool(name))
    except HarnessError as error:
        print(f"{error}\n  {error.hint}", file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
