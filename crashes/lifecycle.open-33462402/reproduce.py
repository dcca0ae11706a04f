#!/usr/bin/env python3
# ruff: noqa
# fmt: off
"""lifecycle.open-33462402: safetensors.safe_open(ODD['through'], framework='numpy', backend='mmap') raised
FileNotFoundError: No such file or directory: file/x, should raise NotADirectoryError

That a file cannot be opened is told as another error than it is, so that callers take the wrong way out:
safetensors.safe_open(ODD['through'], framework='numpy', backend='mmap') raised FileNotFoundError: No such
file or directory: file/x, should raise NotADirectoryError.

Needs:  pip install safetensors numpy      (seen on 0.3.3, 0.4.5, 0.5.3, 0.7.0, 0.8.0)
Run:    python reproduce.py                ends with 1 when the defect shows, with 0 when it does not
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import safetensors

SHOULD = 'each call ends as said below it'


import pathlib
import weakref

import safetensors.numpy
import contextlib
import copy
import gc
import json
import math
import os
import pickle
import resource
import signal
import threading
import numpy
SPECS = [([('a', 'F32', 'float32', (4,), 0)], None), ([('a', 'F32', 'float32', (4,), 1)], None), ([('a', 'F32', 'float32', (4,), 2), ('b', 'U8', 'uint8', (3, 4), 3)], {'k': 'v'}), ([('a', 'U8', 'uint8', (1,), 4)], None), ([], {'only': 'metadata'}), ([('a', 'F32', 'float32', (3000,), 5), ('b', 'F64', 'float64', (2,), 6)], None), ([('b', 'I64', 'int64', (2, 2), 7), ('a', 'F16', 'float16', (4,), 8), ('c', 'BOOL', 'bool', (0,), 9)], {})]
METADATA = [metadata for _, metadata in SPECS]


def content(size, salt):
    """Bytes that tell their place."""
    return bytes((at * 7 + (at >> 8) + salt * 61 + 1 & 255 for at in range(size)))


def arrays(number):
    """The tensors of a file as numpy arrays, by name."""
    return {name: numpy.frombuffer(content(math.prod(shape) * numpy.dtype(kind).itemsize, salt), kind).reshape(shape) for name, _, kind, shape, salt in SPECS[number][0]}
CONTENTS = [arrays(number) for number in range(len(SPECS))]


def file(number):
    """The bytes of a file."""
    header = {}
    if METADATA[number] is not None:
        header['__metadata__'] = METADATA[number]
    data = b''
    for name, dtype, _, shape, _ in SPECS[number][0]:
        raw = CONTENTS[number][name].tobytes()
        header[name] = {'dtype': dtype, 'shape': list(shape), 'data_offsets': [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    return len(text).to_bytes(8, 'little') + text + data
FILES = [file(number) for number in range(len(SPECS))]


def put(path, data):
    """A new file at ``path``."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    rewrite(path, data)


def rewrite(path, data):
    """Another content in the same file, as ``open(path, "wb")`` and a copy over it do."""
    with open(path, 'wb', buffering=0) as target:
        target.write(data)


def poke(path):
    """The last byte of the file becomes another."""
    with open(path, 'r+b', buffering=0) as target:
        target.seek(-1, 2)
        last = target.read(1)
        target.seek(-1, 2)
        target.write(bytes([last[0] ^ 255]))


def cut(path, keep):
    """The file loses its end: ``keep`` is the part that stays, or -1 for all but a byte."""
    size = os.path.getsize(path)
    os.truncate(path, size - 1 if keep < 0 else int(size * keep))


def odd(folder):
    """Paths where there is no file to be read, by what is there instead."""
    paths = {name: os.path.join(folder, name) for name in ('nothing', 'folder', 'loop', 'dangling', 'file')}
    paths['long'] = os.path.join(folder, 'x' * 300)
    paths['through'] = os.path.join(paths['file'], 'x')
    with contextlib.suppress(FileExistsError):
        os.mkdir(paths['folder'])
        put(paths['file'], b'')
        os.symlink('loop', paths['loop'])
        os.symlink('nowhere', paths['dangling'])
    return paths


def without_descriptors(call):
    """A call in a process that has as many open files as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        return call()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def change(array):
    """Other values in an array of ours, in place."""
    array[...] = 0 if array.dtype != bool else False


def same(value, wanted):
    """Equal in type; of arrays, shape, dtype and bytes."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and value.keys() == wanted.keys() and all((same(value[k], wanted[k]) for k in wanted))
    if isinstance(wanted, numpy.ndarray):
        if not isinstance(value, numpy.ndarray) or (value.shape, value.dtype) != (wanted.shape, wanted.dtype):
            return False
        return value.tobytes() == wanted.tobytes()
    return type(value) is type(wanted) and bool(value == wanted)


def caught(call):
    """The error that a call raises; None where it raises none."""
    try:
        call()
    except Exception as error:
        return error.with_traceback(None)
    return None


def again(error, how):
    """Whether a copy of an error is of the same type, with the same arguments, and says the same."""
    ways = {'copy': copy.copy, 'deepcopy': copy.deepcopy}
    number = pickle.HIGHEST_PROTOCOL if how == 'pickle' else 0
    other = ways[how](error) if how in ways else pickle.loads(pickle.dumps(error, number))
    return [type(other) is type(error), other.args == error.args, str(other) == str(error)]


def raised(kind):
    """Whether a class of one's own below the library's error can be raised, and caught as that."""
    own = type('Own', (kind,), {'extra': 1})
    try:
        raise own('words', 2)
    except kind as error:
        return type(error) is own and error.args == ('words', 2)


def answer(call):
    """What a call gives, or "Type: words" of the exception it raises."""
    try:
        return call()
    except BaseException as error:
        return f'{type(error).__name__}: {error}'


def threads(first, second, allowed):
    """What is none of ``allowed`` among the answers of two threads that make these calls at once, eight times each."""
    strange = []

    def go(call):
        for _ in range(8):
            given = answer(call)
            if not any((same(given, wanted) for wanted in allowed)):
                strange.append(given)
    other = threading.Thread(target=go, args=(second,), daemon=True)
    other.start()
    go(first)
    other.join(5)
    return [*strange, 'the other thread does not end'] if other.is_alive() else strange


def fork(call):
    """What a call gives in a forked child: its value, or words for how it ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT):
            signal.signal(number, signal.SIG_DFL)
        try:
            os.write(writer, pickle.dumps(answer(call)))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, 'rb') as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return pickle.loads(said) if status == 0 else f'the child ended with status {status}'


def collect():
    """A collection of the youngest garbage."""
    gc.collect(0)

folder = tempfile.mkdtemp()
ODD = odd(folder)
p0, p1, p2 = (os.path.join(folder, f"p{n}.safetensors") for n in range(3))


from safetensors._safetensors_rust import _safe_open_handle

ANYTHING = object()


def keep(name, value):
    """Let a name stand for a value."""
    globals()[name] = value
    return value


def drop(name):
    """Forget a name."""
    del globals()[name]


def fail(kind):
    """Raise an error of this kind."""
    raise kind("as it should")


def calls():
    put(p0, FILES[0])
    put(p1, FILES[1])
    yield "safetensors.safe_open(ODD['through'], framework='numpy', backend='mmap')", lambda: safetensors.safe_open(ODD['through'], framework='numpy', backend='mmap'), lambda: fail(NotADirectoryError)


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


def ending(outcome, value):
    """How a call ended, and with which error."""
    return outcome, "" if outcome == "accept" else value.partition(":")[0]


def main():
    bad = False
    for text, call, expected in calls():
        outcome, value = attempt(call)
        print(f"{text}\n    {outcome} {short(value)}")
        if expected is None:
            continue
        wanted = attempt(expected)
        right = ending(outcome, value) == ending(*wanted)
        if right and outcome == "accept" and wanted[1] is not ANYTHING:
            right = same(value, wanted[1])
        if not right:
            bad = True
            print(f"    should be {wanted[0]} {'' if wanted[1] is ANYTHING else short(wanted[1])}")
    print("what should: ", SHOULD)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
