"""Helpers of the reproducers beside that run another program: cargo, or Python under a counter of its costs."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from _kit import CannotTell, stored

_CARGO = """\
[workspace]
[package]
name = "{program}"
version = "0.0.0"
edition = "2021"
[dependencies]
serde_json = "1"
safetensors = {wanted}
"""


def cargo(source: str, version: str, *options: str) -> tuple[int, str, str]:
    """Compile and run a Rust program against a version of the crate; how it ended, its output and its errors.

    SAFETENSORS_CRATE names another version of the crate, or its folder.
    """
    if shutil.which("cargo") is None:
        raise CannotTell("cargo is not installed")
    crate = os.environ.get("SAFETENSORS_CRATE") or version
    wanted = f'{{ path = "{crate}" }}' if os.path.isdir(crate) else f'"={crate}"'
    # One script does not run the program that another compiles at the same time.
    program = f"reproduce-{hashlib.sha1(f'{source}{wanted}{options}'.encode(), usedforsecurity=False).hexdigest()[:8]}"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "src").mkdir()
        (folder / "src/main.rs").write_text(source)
        (folder / "Cargo.toml").write_text(_CARGO.format(program=program, wanted=wanted))
        # The dependencies stay compiled from one reproducer to the next.
        shared = pathlib.Path(tempfile.gettempdir(), f"safetensors-reproducers-{os.getuid()}")
        command = ["cargo", "build", "--quiet", "--target-dir", str(shared), *options]
        built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if built.returncode:
            raise CannotTell("cargo: " + built.stderr[-200:])
        path = shared / ("release" if "--release" in options else "debug") / program
        done = subprocess.run([path], cwd=folder, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr, end="")
    return done.returncode, done.stdout, done.stderr


_MTRACE = """
import ctypes
library = ctypes.CDLL(None)
look = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)(("dlvsym", library))
start, stop = (
    ctypes.CFUNCTYPE(None)(look(None, name, b"GLIBC_2.2.5") or look(None, name, b"GLIBC_2.17"))
    for name in (b"mtrace", b"muntrace")
)
run()
start()
result = run()
stop()
"""
_CALLGRIND = "import os\nrun()\nos.getppid()\nos.getpgrp()\nos.getppid()\nresult = run()\nos.getpgrp()\n"


def allocated(setup: str, call: str, raw: bytes, name: str = "") -> tuple[int, int, int]:
    """Bytes that the second run of a call allocates in all, holds at once, and gives as an array; by glibc's mtrace.

    ``path`` is a file of ``raw``, and ``name`` the tensor that is asked for.
    """
    record = stored(b"", "record")
    environment = {"PYTHONMALLOC": "malloc", "LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_TRACE": record}
    result = _measured(
        [sys.executable, "-c", _program(setup, call, _MTRACE), stored(raw), stored(name.encode())], environment
    )
    total = held = peak = 0
    sizes: dict[str, int] = {}
    for line in pathlib.Path(record).read_text(errors="replace").splitlines():
        words = line.split()
        if words[0] != "@":
            continue
        if words[2] in "+>":
            sizes[words[3]] = size = int(words[4], 16)
            total, held = total + size, held + size
            peak = max(peak, held)
        else:
            held -= sizes.pop(words[3], 0)
    if not total:
        raise CannotTell("glibc's mtrace recorded nothing")
    print(f"{total:,} bytes allocated, {peak:,} held at once, for a file of {len(raw):,} bytes")
    return total, peak, result


def instructions(setup: str, call: str, raw: bytes, name: str = "") -> tuple[int, int, int]:
    """Instructions of the second run of a call, as callgrind counts them; 0; and the bytes of the array that it gives."""
    if shutil.which("valgrind") is None:
        raise CannotTell("valgrind is not installed: apt-get install valgrind")
    record = pathlib.Path(stored(b"", "record"))
    command = ["valgrind", "--tool=callgrind", "-q", f"--callgrind-out-file={record}", "--zero-before=getppid"]
    command += ["--dump-before=getpgrp", sys.executable, "-c", _program(setup, call, _CALLGRIND), stored(raw)]
    command.append(stored(name.encode()))
    result = _measured(command, {"LD_BIND_NOW": "1", "PYTHONHASHSEED": "0"})
    summary = re.search(r"^summary: (\d+)$", record.with_name("record.2").read_text(), re.MULTILINE)
    if summary is None:
        raise CannotTell("callgrind counted nothing")
    print(f"{int(summary[1]):,} instructions for a file of {len(raw):,} bytes")
    return int(summary[1]), 0, result


def _program(setup: str, call: str, measure: str) -> str:
    head = "import pathlib, sys, safetensors, safetensors.numpy\npath, name = sys.argv[1], pathlib.Path(sys.argv[2]).read_text()\n"
    return f"{head}{setup}\ndef run():\n    return {call}\n{measure}print(getattr(result, 'nbytes', 0))"


def _measured(command: list[str], environment: dict[str, str]) -> int:
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotTell(done.stderr.strip().rpartition("\n")[2] or f"the child ended with status {done.returncode}")
    return int(done.stdout)
