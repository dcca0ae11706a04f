"""The checks of ``harness doctor``: tools and builds that fuzzing needs."""

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
from harness.parsers import api, registry, runtime, toolchain
from harness.parsers.crate_api import extension
from harness.parsers.probe import Probe, probe

Status = Literal["ok", "warn", "fail"]

_SUPPORTED = ((3, 11), (3, 14))
_GIB = 2**30
_REINSTALL = "install the harness anew: make test in a checkout, or pip install --force-reinstall safetensors-harness"

# Symbols that an instrumented module needs, and the hook of the custom mutator.
_COV = ("8bit_counters_init", "pcs_init", "trace_cmp8")
_SYMBOLS = (*(f"__sanitizer_cov_{name}" for name in _COV), "LLVMFuzzerRunDriver", "LLVMFuzzerCustomMutator")


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of the doctor's report: ``fail`` prevents fuzzing, ``warn`` is about something optional."""

    name: str
    status: Status
    detail: str
    hint: str = ""


def _check(good: object, name: str, detail: str, bad: Status, missing: str, hint: str) -> Check:
    """``detail`` if the check is ``good``, else ``missing`` with status ``bad``."""
    return Check(name, "ok", detail) if good else Check(name, bad, missing, hint)


def checks() -> Iterator[Check]:
    """All checks, one by one; the last ones run a fuzzer for a moment."""
    built = [p for p in registry.available() if p.flavour == "sancov" and not p.why_not_here()]
    # A machine with a build can fuzz without a compiler.
    without: Status = "warn" if built else "fail"
    version = _SUPPORTED[0] <= sys.version_info[:2] <= _SUPPORTED[1] and sys.implementation.name == "cpython"
    here = f"{platform.python_implementation()} {platform.python_version()} on {sys.platform}"
    supported = version and sys.platform == "linux"
    yield _check(supported, "python", here, "fail", here, "use CPython 3.11 to 3.14 on Linux")
    yield _package("atheris", "fail", "not installed", _REINSTALL)
    yield _symbols()
    yield from _compiler(without)
    linker = os.environ.get("CC", "cc")
    lacking = f"there is no C compiler {linker}, which rustc needs to link"
    yield _program("cc", linker, without, lacking, "as root: apt-get install gcc libc6-dev")
    yield _package("pip", without, "not installed; builds need it", f"{sys.executable} -m ensurepip")
    yield _package("maturin", without, "not installed; builds need it", _REINSTALL)
    yield _llvm()
    lacking = "not installed; only counts of instructions need it"
    yield _program("valgrind", "valgrind", "warn", lacking, "apt-get install valgrind")
    yield _disk(paths.home(), "disk", 5 * _GIB, "builds and campaigns need room; HARNESS_HOME moves them")
    shared = Path("/dev/shm")  # noqa: S108 - looked at, not written to
    yield _disk(shared if shared.is_dir() else paths.home(), "memory files", _GIB // 4, "in a container: --shm-size=1g")
    yield from _parsers(built)


def _symbols() -> Check:
    """Whether atheris' libFuzzer is in the global scope of a fresh process."""
    program = (
        "import ctypes, sys; from harness.parsers import runtime; runtime.prepare(mutator=True); "
        "scope = ctypes.CDLL(None); print([s for s in sys.argv[1:] if not hasattr(scope, s)])"
    )
    variables = {**os.environ, "PYTHONPATH": runtime.python_path()}
    command = [sys.executable, "-c", program, *_SYMBOLS]
    answer = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return Check("libfuzzer", "fail", f"atheris does not load: {_last_line(answer.stderr)}", _REINSTALL)
    lacking = answer.stdout.strip()
    detail = "its symbols are in the global scope, without a preload"
    return _check(lacking == "[]", "libfuzzer", detail, "fail", f"atheris' libFuzzer lacks {lacking}", _REINSTALL)


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


def _program(name: str, program: str, bad: Status, missing: str, hint: str) -> Check:
    found = shutil.which(program) or ""
    return _check(found, name, found, bad, missing, hint)


def _package(name: str, bad: Status, missing: str, hint: str) -> Check:
    found = importlib.metadata.version(name) if importlib.util.find_spec(name) is not None else ""
    return _check(found, name, found, bad, missing, hint)


def _llvm() -> Check:
    try:
        found = toolchain.coverage_tools()
    except HarnessError as error:
        return Check("llvm tools", "warn", f"{error}; only coverage pages need it", error.hint)
    return Check("llvm tools", "ok", ", ".join(map(str, found)))


def _disk(folder: Path, name: str, enough: int, hint: str) -> Check:
    free = shutil.disk_usage(folder).free
    detail = f"{free / _GIB:.1f} GiB free in {folder}"
    return _check(free >= enough, name, detail, "fail" if free < enough // 10 else "warn", detail, hint)


def _parsers(built: list[registry.Parser]) -> Iterator[Check]:
    default = registry.default_release()
    everything = registry.available()
    listed = ", ".join(f"{p.name} ({p.flavour})" for p in everything)
    if not built:
        yield Check("parsers", "fail", f"no instrumented build (there are: {listed or 'none'})", "harness build")
        return
    there = default in {p.name for p in built}
    yield _check(there, "parsers", listed, "warn", f"{listed}; not the default one, {default}", "harness build")
    wheel = registry.read(registry.default_name(default, "wheel"))
    usable = wheel is not None and not wheel.why_not_here()
    missing = "no release wheel: findings are not checked on the build of users"
    yield _check(usable, "release wheel", wheel.name if wheel else "", "warn", missing, "harness build --wheel")
    chosen = next((p for p in built if p.name == default), built[0])
    yield from _live(chosen, probe(chosen))
    yield from map(_api, built)
    yield from map(_rust_api, built)
    yield from _compilers(everything)


def _compilers(parsers: list[registry.Parser]) -> Iterator[Check]:
    """Builds that another compiler made than the present one, and coverage builds that no tool here reads."""
    present = toolchain.compiler_or_none()
    made_by = {parser.name: parser.compiler for parser in parsers if parser.compiler is not None}
    other = [name for name, compiler in made_by.items() if present not in (None, compiler)]
    if other:
        detail = f"the compiler is {present}; another one made {registry.listed(other)}, first {made_by[other[0]]}"
        hint = f"they run as they are; to build anew: {registry.build_command(other[0])}"
        yield Check("compiler of builds", "warn", detail, hint)
    elif made_by and present:
        yield Check("compiler of builds", "ok", f"{present} made all of them")
    yield from (_measurable(parser, present) for parser in parsers if parser.flavour == "coverage")


def _measurable(parser: registry.Parser, present: toolchain.Compiler | None) -> Check:
    """Whether tools of the LLVM that compiled a coverage build are here."""
    name = f"coverage by {parser.name}"
    try:
        tools = toolchain.coverage_tools(parser.compiler)
    except HarnessError as error:
        again = registry.build_command(parser.name)
        hint = error.hint if parser.compiler == present else f"{again}; or {error.hint}"
        return Check(name, "warn", f"{error}: harness coverage cannot read the build", hint)
    return Check(name, "ok", f"{parser.compiler}, read by {tools[-1]}")


def _api(parser: registry.Parser) -> Check:
    """The parts of the API that a build lacks."""
    try:
        lacks = api.of_parser(parser).lacks
    except HarnessError as error:
        return Check(f"API of {parser.name}", "warn", str(error), error.hint)
    detail = api.told(parser.name, lacks) or f"{parser.name} has all calls that targets make"
    return Check(f"API of {parser.name}", "ok", detail)


def _rust_api(parser: registry.Parser) -> Check:
    """The extension of a build for the Rust API."""
    name = f"Rust API of {parser.name}"
    try:
        lacks = extension.find(parser).lacks
    except HarnessError as error:
        return Check(name, "warn", f"{str(error).splitlines()[0]}; target crate needs it", error.hint)
    return Check(
        name, "ok", f"the crate lacks: {', '.join(lacks)}" if lacks else "has all calls that target crate makes"
    )


def _live(parser: registry.Parser, heard: Probe) -> Iterator[Check]:
    rebuild = f"build the parser again: harness build --force (this was {parser.name})"
    if not heard.executed:
        yield Check("engine", "fail", f"the fuzzer did not run: {_last_line(heard.log)}", rebuild)
        return
    yield Check("engine", "ok", f"ran on {parser.name}")
    counted = f"{heard.counters} counters, {heard.edges} edges reached"
    yield _check(heard.counters and heard.edges, "native counters", counted, "fail", counted, rebuild)
    missing = "libFuzzer did not find the custom mutator"
    found = "libFuzzer found the custom mutator"
    yield _check(heard.mutator, "mutator", found, "fail", missing, "run without LD_PRELOAD")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
