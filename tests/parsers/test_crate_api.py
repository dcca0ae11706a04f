"""The extension for the Rust API: beside each build, by its flags, and left out where the crate does not fit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.parsers import build, compilation, toolchain
from harness.parsers.checks import _rust_api
from harness.parsers.crate_api import extension
from harness.parsers.registry import Parser


def test_a_build_has_its_extension_and_it_is_not_compiled_twice(sancov: Parser) -> None:
    said: list[str] = []
    assert build.build(progress=said.append) == sancov
    assert said == []
    assert extension.find(sancov).lacks == ()


def test_only_that_of_the_instrumented_build_has_counters(sancov: Parser, wheel: Parser) -> None:
    assert b"__sancov_cntrs" in extension.find(sancov).path.read_bytes()
    assert b"__sancov_cntrs" not in extension.find(wheel).path.read_bytes()


def test_its_panics_name_source_files_the_same_way_on_every_machine(sancov: Parser) -> None:
    content = extension.find(sancov).path.read_bytes()
    assert b"safetensors/src/slice.rs" in content
    assert str(sancov.root).encode() + b"/src/safetensors/src/slice.rs" not in content


def test_the_parts_that_an_older_crate_lacks_are_told() -> None:
    older = "pub fn info(&self)\npub fn iter(&self)\nimpl Display for TensorIndexer\nNarrow(Bound<usize>, Bound<usize>),\npub fn new("
    features = extension.present(older)
    assert features == ["indexer_display", "info", "iter"]
    assert extension.lacking(features) == [
        "Display of Dtype", "Display of InvalidSlice", "Dtype::bitsize", "Metadata::data_len", "Metadata::new",
        "Metadata::offset_keys", "TensorIndexer::Narrow(step)", "slice_byte_ranges",
    ]  # fmt: skip


@pytest.fixture
def other(sancov: Parser, tmp_path: Path, home: Path) -> Parser:
    """A build without an extension, of a source of its own."""
    (tmp_path / "src" / "src").mkdir(parents=True)
    (tmp_path / "src" / "Cargo.toml").write_text('[package]\nname = "safetensors"\nversion = "9.9.9"\n')
    for name in ("lib", "tensor", "slice"):
        (tmp_path / "src" / "src" / f"{name}.rs").write_text("")
    return dataclasses.replace(sancov, name="other", root=tmp_path)


def test_a_crate_that_does_not_fit_keeps_the_compiler_s_error(other: Parser) -> None:
    assert not extension.there(other)
    said: list[str] = []
    extension.add(other, said.append)
    assert extension.there(other)
    assert not extension.usable(other)
    with pytest.raises(HarnessError, match="our crate does not fit it:\nerror") as failure:
        extension.find(other)
    assert failure.value.hint == "harness build --force tries again"
    assert any(line.startswith("no extension for the Rust API: our crate") for line in said)
    check = _rust_api(other)
    assert (check.status, "target crate needs it" in check.detail) == ("warn", True)


def test_a_source_without_the_crate_is_named(other: Parser) -> None:
    (other.source / "Cargo.toml").unlink()
    extension.add(other, lambda line: None)
    with pytest.raises(HarnessError, match="holds no crate called safetensors"):
        extension.find(other)


def test_without_cargo_a_build_goes_without(other: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    extension.add(other, lambda line: None)
    assert not extension.there(other)


def test_that_of_a_wheel_is_compiled_anew_by_another_compiler(
    wheel: Parser, other_compiler: toolchain.Compiler
) -> None:
    assert extension.usable(wheel)
    assert not extension.there(wheel)
    toolchain.compiler.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUSTC")
        assert extension.there(wheel)


def test_that_of_a_compiled_build_is_of_its_compiler(sancov: Parser, other_compiler: toolchain.Compiler) -> None:
    assert extension.there(sancov)
    manifest = {**sancov.manifest, "compiler": dataclasses.asdict(other_compiler)}
    assert not extension.there(dataclasses.replace(sancov, manifest=manifest))


def test_the_lock_of_the_binding_gives_the_versions(sancov: Parser) -> None:
    lock = compilation.lock_of(sancov.source)
    assert lock is not None
    assert lock.parent.name == "python"
    assert json.dumps(sancov.manifest["crates"]) == json.dumps(compilation.resolved_crates(sancov.source))
