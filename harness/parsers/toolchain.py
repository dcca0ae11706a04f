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

    def __str__(self) -> str:
        return f"rustc {self.release} (LLVM {self.llvm_major})"


def cargo() -> Path:
    """The cargo on PATH. Raises HarnessError where there is none."""
    return _need("cargo")


@functools.cache
def compiler() -> Compiler:
    """The compiler that cargo would use (``RUSTC``, or rustc on PATH). Raises HarnessError where there is none."""
    rustc = _rustc()
    try:
        answer = subprocess.run([rustc, "-vV"], capture_output=True, text=True, timeout=60, check=True).stdout
        fields = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
        llvm = int(fields["LLVM version"].split(".")[0])
        return Compiler(fields["release"], fields["host"], llvm, fields.get("commit-hash", "unknown"))
    except (OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
        raise HarnessError(f"{rustc} does not answer: {error}", hint=GET_RUST) from error


def compiler_or_none() -> Compiler | None:
    """:func:`compiler`, or None where there is none."""
    try:
        return compiler()
    except HarnessError:
        return None


def llvm_tool(name: str, of: Compiler | None = None) -> Path:
    """``llvm-profdata`` or ``llvm-cov`` of the LLVM major version of a compiler; other versions cannot read its profiles.

    ``of`` is the compiler that made a build, default the present one. Searched in rustup's llvm-tools, under Debian's names,
    then on PATH. Raises HarnessError without one.
    """
    made_by = of or compiler()
    major = made_by.llvm_major
    candidates = [_rustup_tools() / name, Path(f"/usr/lib/llvm-{major}/bin/{name}")]
    candidates += [Path(found) for spelling in (f"{name}-{major}", name) if (found := shutil.which(spelling))]
    for candidate in candidates:
        if candidate.is_file() and _llvm_major(candidate) == major:
            return candidate
    # rustup has the tools of the present compiler alone.
    rustup = "; or: rustup component add llvm-tools" if of in (None, compiler_or_none()) else ""
    raise HarnessError(
        f"no {name} of LLVM {major}, which rustc {made_by.release} needs",
        hint=f"as root: apt-get install llvm-{major}{rustup}",
    )


def coverage_tools(of: Compiler | None = None) -> list[Path]:
    """The tools that read the profiles of a build by the compiler ``of``. Raises as :func:`llvm_tool`."""
    return [llvm_tool(name, of) for name in ("llvm-profdata", "llvm-cov")]


def has_coverage_tools(of: Compiler | None = None) -> bool:
    """Whether :func:`coverage_tools` are here."""
    try:
        return bool(coverage_tools(of))
    except HarnessError:
        return False


def _rustc() -> str:
    """The compiler that cargo takes. Raises HarnessError where there is none."""
    return os.environ.get("RUSTC") or str(_need("rustc"))


def _need(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise HarnessError(f"there is no {name} on this machine, and the parser is written in Rust", hint=GET_RUST)
    return Path(found)


def _rustup_tools() -> Path:
    try:
        command = [_rustc(), "--print", "target-libdir"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (HarnessError, OSError, subprocess.SubprocessError):
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
        print(*coverage_tools(), sep="\n")
    except HarnessError as error:
        print(f"{error}\n  {error.hint}", file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
