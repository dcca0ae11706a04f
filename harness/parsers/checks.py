"""What ``harness doctor`` looks at: is everything there that fuzzing needs, and does it work together?"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from harness import paths
from harness.errors import HarnessError
from harness.parsers import registry, runtime, toolchain
from harness.parsers.probe import Probe, probe

Status = Literal["ok", "warn", "fail"]

_SUPPORTED = ((3, 11), (3, 12), (3, 13))
_GIB = 2**30
_REINSTALL = "install the harness anew: make test in a checkout, or pip install --force-reinstall safetensors-harness"

# What libFuzzer must offer to an instrumented module, and the hook it must find.
_SYMBOLS = (
    "__sanitizer_cov_8bit_counters_init",
    "__sanitizer_cov_pcs_init",
    "__sanitizer_cov_trace_cmp8",
    "LLVMFuzzerRunDriver",
)


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of the doctor's report."""

    name: str
    status: Status
    """``fail``: fuzzing cannot work; ``warn``: something optional is missing."""
    detail: str
    hint: str = ""
    """What to do about it; empty when all is well."""


def checks() -> Iterator[Check]:
    """All checks, one by one as they are done; the last ones run a fuzzer for a moment."""
    built = [p for p in registry.available() if p.flavour == "sancov" and not p.why_not_here()]
    # Whoever has a build can fuzz without a compiler.
    without: Status = "warn" if built else "fail"
    yield _python()
    yield _atheris()
    yield _symbols()
    yield from _compiler(without)
    yield _linker(without)
    yield _tool("pip", without)
    yield _tool("maturin", without)
    yield _llvm()
    yield _valgrind()
    yield _disk(paths.home(), "disk", 5 * _GIB, "builds and campaigns need room; HARNESS_HOME moves them")
    shared = Path("/dev/shm")  # noqa: S108 - looked at, not written to
    yield _disk(shared if shared.is_dir() else paths.home(), "memory files", _GIB // 4, "in a container: --shm-size=1g")
    yield from _parsers(built)


def _python() -> Check:
    version = platform.python_version()
    good = sys.version_info[:2] in _SUPPORTED and sys.implementation.name == "cpython" and sys.platform == "linux"
    detail = f"{platform.python_implementation()} {version} on {sys.platform}"
    return (
        Check("python", "ok", detail)
        if good
        else Check("python", "fail", detail, "use CPython 3.11, 3.12 or 3.13 on Linux")
    )


def _atheris() -> Check:
    try:
        return Check("atheris", "ok", importlib.metadata.version("atheris"))
    except importlib.metadata.PackageNotFoundError:
        return Check("atheris", "fail", "not installed", _REINSTALL)


def _symbols() -> Check:
    """Whether atheris' libFuzzer can be had in the global scope, in a process of its own."""
    program = (
        "import ctypes, sys; from harness.parsers import runtime; runtime.prepare(mutator=True); "
        "scope = ctypes.CDLL(None); print([s for s in sys.argv[1:] if not hasattr(scope, s)])"
    )
    variables = {**os.environ, "PYTHONPATH": runtime.python_path()}
    command = [sys.executable, "-c", program, *_SYMBOLS, "LLVMFuzzerCustomMutator"]
    answer = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return Check("libfuzzer", "fail", f"atheris does not load: {_last_line(answer.stderr)}", _REINSTALL)
    if answer.stdout.strip() != "[]":
        return Check("libfuzzer", "fail", f"atheris' libFuzzer lacks {answer.stdout.strip()}", _REINSTALL)
    return Check("libfuzzer", "ok", "its symbols are in the global scope, without a preload")


def _compiler(without: Status) -> Iterator[Check]:
    programs: dict[str, Callable[[], object]] = {"cargo": toolchain.cargo, "rustc": toolchain.compiler}
    for name, ask in programs.items():
        try:
            answer = ask()
        except HarnessError as error:
            yield Check(name, without, str(error), error.hint)
            continue
        if not isinstance(answer, toolchain.Compiler):
            yield Check(name, "ok", str(answer))
        elif answer.number < toolchain.OLDEST_RUST:
            oldest = ".".join(map(str, toolchain.OLDEST_RUST))
            yield Check(name, without, f"{answer.release} is too old: {oldest} is the least", toolchain.GET_RUST)
        else:
            yield Check(name, "ok", f"{answer.release}, LLVM {answer.llvm_major}, {answer.host}")


def _linker(without: Status) -> Check:
    name = os.environ.get("CC", "cc")
    found = shutil.which(name)
    if found is None:
        return Check(
            "cc",
            without,
            f"there is no C compiler {name}, by which rustc links",
            "as root: apt-get install gcc libc6-dev",
        )
    return Check("cc", "ok", found)


def _tool(name: str, without: Status) -> Check:
    if importlib.util.find_spec(name) is None:
        return Check(
            name,
            without,
            "not installed; builds need it",
            f"{sys.executable} -m ensurepip" if name == "pip" else _REINSTALL,
        )
    return Check(name, "ok", importlib.metadata.version(name))


def _llvm() -> Check:
    try:
        found = [str(toolchain.llvm_tool(name)) for name in ("llvm-profdata", "llvm-cov")]
    except HarnessError as error:
        return Check("llvm tools", "warn", f"{error}; only coverage pages need it", error.hint)
    return Check("llvm tools", "ok", ", ".join(found))


def _valgrind() -> Check:
    found = shutil.which("valgrind")
    if found is None:
        return Check(
            "valgrind", "warn", "not installed; only counting instructions needs it", "apt-get install valgrind"
        )
    return Check("valgrind", "ok", found)


def _disk(folder: Path, name: str, enough: int, hint: str) -> Check:
    free = shutil.disk_usage(folder).free
    detail = f"{free / _GIB:.1f} GiB free in {folder}"
    if free < enough // 10:
        return Check(name, "fail", detail, hint)
    return Check(name, "ok", detail) if free >= enough else Check(name, "warn", detail, hint)


def _parsers(built: list[registry.Parser]) -> Iterator[Check]:
    default = registry.default_release()
    everything = registry.available()
    listed = ", ".join(f"{p.name} ({p.flavour})" for p in everything)
    if not built:
        yield Check("parsers", "fail", f"no instrumented build (there are: {listed or 'none'})", "harness build")
        return
    if default in {p.name for p in built}:
        yield Check("parsers", "ok", listed)
    else:
        yield Check("parsers", "warn", f"{listed}; not the default one, {default}", "harness build")
    wheel = registry.read(registry.default_name(default, "wheel"))
    if wheel is None or wheel.why_not_here():
        detail = "no release wheel: findings cannot say whether users meet them"
        yield Check("release wheel", "warn", detail, "harness build --wheel")
    else:
        yield Check("release wheel", "ok", wheel.name)
    chosen = next((p for p in built if p.name == default), built[0])
    yield from _live(chosen, probe(chosen))


def _live(parser: registry.Parser, heard: Probe) -> Iterator[Check]:
    rebuild = f"build the parser again: harness build --force (this was {parser.name})"
    if not heard.executed:
        yield Check("engine", "fail", f"the fuzzer did not run: {_last_line(heard.log)}", rebuild)
        return
    yield Check("engine", "ok", f"ran on {parser.name}")
    if heard.counters and heard.edges:
        yield Check("native counters", "ok", f"{heard.counters} counters, {heard.edges} edges reached")
    else:
        yield Check("native counters", "fail", f"{heard.counters} counters, {heard.edges} edges reached", rebuild)
    if heard.mutator:
        yield Check("mutator", "ok", "libFuzzer found the custom mutator")
    else:
        yield Check("mutator", "fail", "libFuzzer did not find the custom mutator", "run without LD_PRELOAD")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
