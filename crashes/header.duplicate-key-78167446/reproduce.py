#!/usr/bin/env python3
# ruff: noqa
# fmt: off
"""header.duplicate-key-78167446: accepted, but the format forbids it: the key '' of __metadata__ stands twice

The text of the format forbids this file, and it is accepted: the key '' of __metadata__ stands twice.

Needs:  pip install safetensors numpy      (seen on 0.3.3, 0.4.5, 0.5.3, 0.7.0, 0.8.0)
Run:    python reproduce.py                ends with 1 when the defect shows, with 0 when it does not
"""

import hashlib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
INPUT = HERE / "input.safetensors"
SHOULD = 'the file is refused: Duplicate keys are disallowed'


# numpy's one-letter codes, as the format calls them.
CODES = {
    "?": "BOOL", "B": "U8", "b": "I8", "h": "I16", "H": "U16", "e": "F16", "i": "I32", "I": "U32", "f": "F32",
    "l": "I64", "L": "U64", "q": "I64", "Q": "U64", "d": "F64", "F": "C64",
}


def read(path):
    """What the parser reads: {name: (dtype, shape, bytes)}, the metadata, and the names by offset."""
    import safetensors

    with safetensors.safe_open(str(path), framework="numpy") as file:
        found, failed = {}, None
        for name in file.keys():
            try:
                array = file.get_tensor(name)
            except safetensors.SafetensorError:
                continue  # a dtype that numpy has no name for is refused as documented
            except BaseException as error:
                failed = failed or error
                continue
            found[name] = (CODES.get(array.dtype.char, str(array.dtype)), list(array.shape), array.tobytes())
        if failed is not None:
            raise failed
        return found, file.metadata(), getattr(file, "offset_keys", lambda: None)()


def attempt(path):
    """How reading ends: accept, reject (the documented error), raise or panic; and what was read, or the error."""
    try:
        return "accept", read(path)
    except Exception as error:
        kind = type(error).__name__
        return ("reject" if kind == "SafetensorError" else "raise"), f"{kind}: {error}"
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return "panic", f"PanicException: {error}"


def short(what):
    return what if isinstance(what, str) else repr(what)[:400]


def main():
    path = INPUT
    outcome, detail = attempt(path)
    print("what happens:", outcome, short(detail))
    print("what should: ", SHOULD)
    return int(outcome == "accept")


if __name__ == "__main__":
    sys.exit(main())
