#!/usr/bin/env python3
# ruff: noqa
# fmt: off
"""memory-39138716: the run asked for more memory than its limit, in get_slice

Reading the file takes memory out of all proportion to it: whoever can supply a file can stop the program that
reads it.

Needs:  pip install safetensors numpy      (seen on 0.8.0)
Run:    python reproduce.py                ends with 1 when the defect shows, with 0 when it does not
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import safetensors

SHOULD = 'the file is read or refused within memory in proportion to its size'


FILE = (
    b'H\x00\x00\x00\x00\x00\x00\x00{"a":{"dtype":"F32","sha'
    b'pe":[4294967296,0],"data_offsets'
    b'":[0,0]}}       '
)

# What the file holds, as numpy reads it.
WHOLE = {
    'a': numpy.frombuffer(FILE[80:80], 'float32').reshape([4294967296, 0]),
}


def calls():
    path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    path.write_bytes(FILE)
    with safetensors.safe_open(str(path), framework="numpy", backend="mmap") as file:
        yield "file.get_slice('a')[slice(None, None, 2)]", lambda: file.get_slice('a')[slice(None, None, 2)], lambda: WHOLE['a'][slice(None, None, 2)]


def attempt(call):
    """How a call ends: accept, reject (the documented error), raise or panic; and what came back, or the error."""
    try:
        return "accept", call()
    except Exception as error:
        kind = type(error).__name__
        return ("reject" if kind == "SafetensorError" else "raise"), f"{kind}: {error}"
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return "panic", f"PanicException: {error}"


def short(what):
    if isinstance(what, numpy.ndarray):
        return f"{what.dtype} {list(what.shape)} {what.tobytes()[:32].hex()}"
    return what if isinstance(what, str) else repr(what)[:200]


def main():
    if "--child" in sys.argv:
        for text, call, _ in calls():
            print(text, flush=True)
            print("   ", attempt(call)[0], flush=True)
        return 0

    def limit():
        import resource

        # What the interpreter and numpy take, and 512 MB for one small file.
        resource.setrlimit(resource.RLIMIT_DATA, ((512 + 512) << 20,) * 2)

    command = [sys.executable, str(pathlib.Path(__file__).resolve()), "--child"]
    try:
        done = subprocess.run(command, timeout=30, preexec_fn=limit)
        happens, bad = f"the process ended with status {done.returncode}", done.returncode != 0
    except subprocess.TimeoutExpired:
        happens, bad = "the process did not end within 30 s", True
    print("what happens:", happens)
    print("what should: ", SHOULD)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
