"""What a broad use of the API of the newest release reaches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.coverage.counts import RustFile
from harness.coverage.llvm import rust_coverage
from harness.coverage.replay import profiles, replay
from harness.parsers.registry import Parser
from harness.targets.registry import get_target

# Everything the extension offers without a framework but numpy, right and wrong uses alike.
BROAD_USE = """
import ctypes, os, sys, tempfile
sys.path.insert(0, sys.argv[1])
import numpy as np
import safetensors
from safetensors import safe_open, serialize, serialize_file, deserialize, TensorSpec
from safetensors.numpy import save, save_file, load, load_file

def attempt(call):
    try:
        return call()
    except BaseException:
        return None

tensors = {"a": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "b": np.zeros((0, 2), np.int8)}
raw = save(tensors, {"key": "value"})
load(raw)
deserialize(raw)
for size in range(0, len(raw), 7):
    attempt(lambda: deserialize(raw[:size]))
buffer = ctypes.create_string_buffer(64)
for dtype in ("float32", "float4_e2m1fn_x2", "bool", "nonsense"):
    spec = attempt(lambda: TensorSpec(dtype=dtype, shape=[2, 2], data_ptr=ctypes.addressof(buffer), data_len=16))
    if spec:
        repr(spec), spec.dtype, spec.shape, spec.data_ptr, spec.data_len
        attempt(lambda: serialize({"t": spec}))
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "file")
    save_file(tensors, path)
    load_file(path)
    attempt(lambda: serialize_file({"t": TensorSpec(dtype="int8", shape=[1], data_ptr=1, data_len=9)}, "/nowhere/x"))
    for framework in ("numpy", "np", "torch", "flax", "nonsense"):
        for backend in ("mmap", "pread", "nonsense"):
            file = attempt(lambda: safe_open(path, framework, backend=backend))
            if file is None:
                continue
            file.keys(), file.offset_keys(), file.metadata()
            attempt(file.get_tensors)
            attempt(lambda: file.get_tensor("missing"))
            for name in ("a", "b"):
                attempt(lambda: file.get_tensor(name))
                part = file.get_slice(name)
                part.get_shape(), part.get_dtype()
                for index in (..., 0, -1, 9, slice(None), slice(1, 2), slice(0, 2, 2), slice(2, 1), (0, slice(1)), [], [1], "x"):
                    attempt(lambda: part[index])
"""


@pytest.fixture(scope="session")
def broad_use(coverage_parser: Parser, tmp_path_factory: pytest.TempPathFactory) -> tuple[Parser, Path]:
    """The coverage build and the raw profile of a process that calls all of its API."""
    folder = tmp_path_factory.mktemp("broad")
    profile = folder / "broad.profraw"
    subprocess.run(
        [sys.executable, "-c", BROAD_USE, str(coverage_parser.site)],
        env={**os.environ, "LLVM_PROFILE_FILE": str(profile), "RUST_BACKTRACE": "0"},
        check=True,
        capture_output=True,
        cwd=folder,
    )
    return coverage_parser, profile


@pytest.fixture
def broad_files(broad_use: tuple[Parser, Path], tmp_path: Path) -> list[RustFile]:
    """Coverage of that process and of the seeds of target ``crate``, with nothing excluded."""
    parser, profile = broad_use
    replay(parser, "crate", list(get_target("crate").seeds().values()), tmp_path)
    return rust_coverage(parser, [profile, *profiles(tmp_path)], tmp_path)
