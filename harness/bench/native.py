"""The peer: native libFuzzer on ``SafeTensors::deserialize``, as upstream fuzzes it.

Built from the same source as the parser under test, with the same counters.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import paths
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.parsers import toolchain
from harness.parsers.flavours import SANCOV
from harness.parsers.registry import Parser

_MANIFEST = """\
[package]
name = "native-peer"
version = "0.0.0"
edition = "2021"
publish = false

[[bin]]
name = "native-peer"
path = "main.rs"

[dependencies]
libfuzzer-sys = "=0.4.13"
safetensors = {{ path = {path} }}

[workspace]

[profile.release]
debug = 1
overflow-checks = true
debug-assertions = true
"""

_MAIN = """\
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = safetensors::SafeTensors::deserialize(data);
});
"""

#: Flags of the compiler, as `cargo fuzz` sets them.
FLAGS = " ".join(("--cfg fuzzing", *SANCOV, "-Ccodegen-units=1"))


def build(parser: Parser) -> Path:
    """Compile the peer against the parser's source; returns the program. Raises HarnessError with the compiler's message."""
    crate = parser.source / "safetensors"
    if not (crate / "Cargo.toml").is_file():
        raise HarnessError(f"parser {parser.name} has no source", hint="harness build --release 0.8.0")
    folder = paths.build_dir() / "bench" / "native"
    manifest = _MANIFEST.format(path=json.dumps(str(crate)))
    return compiled(folder, manifest, _MAIN, "native-peer", ["cargo"], {"RUSTFLAGS": FLAGS}, "the native peer")


def compiled(
    folder: Path, manifest: str, main: str, name: str, cargo: Sequence[str], variables: Mapping[str, str], words: str
) -> Path:
    """Compile the program ``name`` of a manifest and a main file in ``folder``; returns it.

    ``cargo`` is the command before ``build``. Raises HarnessError with ``words`` and the compiler's message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "Cargo.toml", manifest)
    write_atomic(folder / "main.rs", main)
    triple = toolchain.compiler().host
    done = subprocess.run(
        [*cargo, "build", "--release", "--quiet", "--target", triple],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HarnessError(f"{words} does not build:\n{done.stderr[-3000:]}", hint="harness doctor checks cargo")
    return folder / "target" / triple / "release" / name


def run(program: Path, seconds: float, seed: int) -> tuple[list[tuple[float, bytes]], int]:
    """Fuzz from an empty corpus; the corpus as ``(seconds since the start, bytes)`` and the number of executions."""
    with tempfile.TemporaryDirectory(prefix="native-peer-") as name:
        corpus = Path(name) / "corpus"
        corpus.mkdir()
        started = time.time()
        done = subprocess.run(
            [
                str(program), str(corpus), f"-max_total_time={round(seconds)}", f"-seed={seed}", "-print_final_stats=1",
                "-reduce_inputs=0", f"-artifact_prefix={name}/", "-close_fd_mask=3",
            ],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise HarnessError(f"the native peer ended with {done.returncode}:\n{done.stderr[-2000:]}")
        counted = re.search(r"^stat::number_of_executed_units:\s*(\d+)", done.stderr, re.MULTILINE)
        executions = int(counted[1]) if counted else 0
        files = sorted(corpus.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        return [(path.stat().st_mtime - started, path.read_bytes()) for path in files], executions
