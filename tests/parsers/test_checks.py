"""Checks of builds after a change of compiler; tests/cli/test_doctor.py runs all checks."""

from __future__ import annotations

import dataclasses

from harness.parsers import toolchain
from harness.parsers.checks import _compilers
from harness.parsers.registry import Parser


def test_builds_of_the_present_compiler_are_in_order(sancov: Parser, wheel: Parser, coverage_parser: Parser) -> None:
    of_all, of_coverage = _compilers([sancov, wheel, coverage_parser])
    assert (of_all.name, of_all.status, of_all.hint) == ("compiler of builds", "ok", "")
    assert of_all.detail == f"{toolchain.compiler()} made all of them"
    assert (of_coverage.name, of_coverage.status) == ("coverage by 0.8.0-coverage", "ok")
    assert str(toolchain.llvm_tool("llvm-cov")) in of_coverage.detail


def test_a_change_of_compiler_is_told_and_an_old_coverage_build_is_read_by_its_own_tools(
    sancov: Parser, wheel: Parser, coverage_parser: Parser, other_compiler: toolchain.Compiler
) -> None:
    of_all, of_coverage = _compilers([sancov, wheel, coverage_parser])
    assert of_all.status == "warn"
    made = f"another one made 0.8.0, 0.8.0-coverage, first {sancov.compiler}"
    assert of_all.detail == f"the compiler is rustc 1.90.0 (LLVM 77); {made}"
    assert of_all.hint.endswith("harness build --release 0.8.0")
    assert of_coverage.status == "ok"
    assert of_coverage.detail.startswith(f"{coverage_parser.compiler}, read by ")


def test_a_coverage_build_that_no_tool_reads_is_told_before_coverage_fails(
    coverage_parser: Parser, other_compiler: toolchain.Compiler
) -> None:
    manifest = {**coverage_parser.manifest, "compiler": dataclasses.asdict(other_compiler)}
    foreign = dataclasses.replace(coverage_parser, manifest=manifest)
    *_, here = _compilers([foreign])
    assert (here.status, here.hint) == (
        "warn", "as root: apt-get install llvm-77; or: rustup component add llvm-tools",
    )  # fmt: skip
    earlier = dataclasses.asdict(dataclasses.replace(other_compiler, release="1.89.0"))
    *_, gone = _compilers([dataclasses.replace(foreign, manifest=manifest | {"compiler": earlier})])
    assert gone.detail.endswith("which rustc 1.89.0 needs: harness coverage cannot read the build")
    assert gone.hint == "harness build --release 0.8.0 --coverage; or as root: apt-get install llvm-77"
