"""Runs upstream's own tests on a build: ``cargo test`` of the crate, pytest of the Python bindings."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from harness import paths
from harness.parsers import compilation, sources, toolchain

CRATE, PYTHON = "cargo test", "pytest"
SUITES = (CRATE, PYTHON)

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

#: Seconds for a suite. Upstream's take some ten on an idle machine.
_PATIENCE_S = 600.0

_CARGO_LINE = re.compile(r"^test (.+?)(?: \(line (\d+)\))? \.\.\. (ok|FAILED|ignored)", re.MULTILINE)
_CARGO_WORDS = {"ok": PASSED, "FAILED": FAILED, "ignored": SKIPPED}
_ABSENT = re.compile(r"(?:ModuleNotFound|Import)Error: (.+)")


@dataclass(frozen=True, slots=True)
class Results:
    """The result of each test that ran, and the reason why a test, a file of tests or the whole suite ("") could not."""

    tests: Mapping[str, str] = field(default_factory=dict)
    unable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A suite before and after a change. ``broken`` has the tests that the change breaks, with the reason.

    ``before`` failed before the change as well, ``mended`` failed before it only. ``unable`` could not run on either side.
    """

    suite: str
    passed: int
    broken: Mapping[str, str]
    before: Sequence[str]
    mended: Sequence[str]
    unable: Mapping[str, str]


def compare(suite: str, before: Results, after: Results) -> Comparison:
    """A test is broken that failed, or could no longer run, after the change alone. Without results before, none is."""
    if "" in before.unable:
        return Comparison(suite, 0, {}, (), (), before.unable)
    broken = {name: "fails" for name, word in after.tests.items() if word == FAILED and not _suffers(before, name)}
    broken |= {name: why for name, why in after.unable.items() if not _suffers(before, name)}
    failed = [name for name, word in after.tests.items() if word == FAILED and name not in broken]
    mended = [name for name, word in before.tests.items() if word == FAILED and after.tests.get(name) == PASSED]
    unable = {name: why for name, why in after.unable.items() if name not in broken}
    passed = sum(word == PASSED for word in after.tests.values())
    return Comparison(suite, passed, broken, sorted(failed), sorted(mended), unable)


def _suffers(results: Results, name: str) -> bool:
    return name in results.unable or results.tests.get(name) == FAILED


#: Entered with the function that kills a process, for as long as the process runs.
Live = Callable[[Callable[[], None]], AbstractContextManager[object]]


def run(
    suite: str, source: Path, site: Path, work: Path, live: Live, *, target: str = "tests", patience: float = _PATIENCE_S
) -> Results:  # fmt: skip
    """Run one suite of :data:`SUITES` in a copy of ``source``, the folder ``work``. ``site`` is of a plain build of it.

    ``target`` names cargo's folder: one suite at a time can use it. ``patience``: most seconds.
    """
    shutil.rmtree(work, ignore_errors=True)
    sources.copy_tree(sources.Checkout(source, Path()), work)
    if suite == CRATE:
        return _cargo(work, live, paths.build_dir() / "cache" / "target" / target, patience)
    return _pytest(work, site, live, patience)


def _cargo(tree: Path, live: Live, target: Path, patience: float) -> Results:
    crate = tree / "safetensors"
    if not (crate / "Cargo.toml").is_file():
        return Results(unable={"": "the source holds no folder safetensors with the crate"})
    variables = compilation.environment() | {"CARGO_TARGET_DIR": str(target), "CARGO_TERM_COLOR": "never"}
    command = [str(toolchain.cargo()), "test", "--no-fail-fast", "--manifest-path", str(crate / "Cargo.toml")]
    ended, said = _run(command, variables, crate, live, patience)
    # Line numbers move with a change; the tests of one item keep their order.
    lines = sorted((name, int(line or 0), word) for name, line, word in _CARGO_LINE.findall(said))
    tests: dict[str, str] = {}
    for name, line, word in lines:
        tests[f"{name} {sum(key.startswith(name) for key in tests) + 1}" if line else name] = _CARGO_WORDS[word]
    if ended and FAILED not in tests.values():
        return Results(tests, {"": f"cargo test {ended}: {compilation.errors_in(said, 12)}"})
    return Results(tests)


def _pytest(tree: Path, site: Path, live: Live, patience: float) -> Results:
    project = tree / sources.BINDINGS
    if not (project / "tests").is_dir():
        return Results(unable={"": f"the source holds no folder {sources.BINDINGS}/tests"})
    if importlib.util.find_spec("pytest") is None:
        return Results(unable={"": "pytest is not installed"})
    report = tree / "junit.xml"
    variables = compilation.environment() | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    ended, said = _run([*command, f"--junit-xml={report}", "tests"], variables, project, live, patience)
    if not report.is_file():
        return Results(unable={"": f"pytest {ended}: {said.strip()[-600:]}"})
    return _of_junit(report)


def _of_junit(report: Path) -> Results:
    tests: dict[str, str] = {}
    unable: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it
        name = "::".join(filter(None, (case.get("classname"), case.get("name"))))
        fault = next((child for child in case if child.tag in ("failure", "error")), None)
        if fault is not None and (absent := _ABSENT.search(f"{fault.get('message')}\n{fault.text}")):
            # A fault of this machine, unless the module is the parser's own. Comparison decides.
            unable[name] = absent[1].strip()
        elif fault is not None:
            tests[name] = FAILED
        else:
            tests[name] = SKIPPED if case.find("skipped") is not None else PASSED
    return Results(tests, unable)


def _run(command: list[str], variables: dict[str, str], folder: Path, live: Live, patience: float) -> tuple[str, str]:
    """How ``command`` ended ("" for status 0), and its output. Its whole process group ends with this call."""
    with subprocess.Popen(
        command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    ) as child:  # fmt: skip

        def kill() -> None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

        try:
            with live(kill):
                said, _ = child.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            return f"did not end within {patience:.0f} s", ""
        finally:
            kill()
    return f"ended with {child.returncode}" if child.returncode else "", said
