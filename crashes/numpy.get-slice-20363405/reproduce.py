#!/usr/bin/env python3
# ruff: noqa
# fmt: off
"""numpy.get-slice-20363405: get_slice(...)[True] of shape [2, 3] has shape [3], numpy's [1, 2, 3]

A part of a tensor is not the part that numpy gives of the whole: get_slice(...)[True] of shape [2, 3] has
shape [3], numpy's [1, 2, 3].

Needs:  pip install safetensors numpy      (seen on 0.4.5, 0.5.3, 0.7.0, 0.8.0)
Run:    python reproduce.py                ends with 1 when the defect shows, with 0 when it does not
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import safetensors

SHOULD = 'each call gives what numpy gives of the whole array, or is refused with SafetensorError'


FILE = (
    b'@\x00\x00\x00\x00\x00\x00\x00{"a":{"dtype":"F32","sha'
    b'pe":[2,3],"data_offsets":[0,24]}'
    b'}       \x01\x08\x0f\x16\x1d$+29@GNU\\cjqx\x7f\x86\x8d\x94\x9b\xa2'
)

# What the file holds, as numpy reads it.
WHOLE = {
    'a': numpy.frombuffer(FILE[72:96], 'float32').reshape([2, 3]),
}


def calls():
    path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    path.write_bytes(FILE)
    with safetensors.safe_open(str(path), framework="numpy", backend="mmap") as file:
        yield "file.get_slice('a')[True]", lambda: file.get_slice('a')[True], lambda: WHOLE['a'][True]


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


def same(value, wanted):
    """Equal in type, and for arrays in shape, dtype and bytes; a numpy scalar is an array of rank 0."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and value.keys() == wanted.keys() and all(same(value[k], wanted[k]) for k in wanted)
    if isinstance(wanted, (numpy.ndarray, numpy.generic)):
        wanted = numpy.asarray(wanted)
        if not isinstance(value, numpy.ndarray) or (value.shape, value.dtype) != (wanted.shape, wanted.dtype):
            return False
        return value.tobytes() == wanted.tobytes()
    return value == wanted


def main():
    bad = False
    for text, call, expected in calls():
        outcome, value = attempt(call)
        print(f"{text}\n    {outcome} {short(value)}")
        if expected is None:
            continue
        wanted = attempt(expected)
        print(f"    should be {short(wanted[1])}")
        bad |= outcome == "accept" and (wanted[0] != "accept" or not same(value, wanted[1]))
    print("what should: ", SHOULD)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
