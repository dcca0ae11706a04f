"""Saved content comes back the same: names, dtypes, shapes, bytes and metadata; or it is refused, with a documented error.

The program tells what a file should hold. The judge, not the parser, tells what it holds. So the oracle blames the writer
for a wrong file, and the reader for a wrong reading of a right file.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy

from harness.findings.finding import Finding, normalise
from harness.findings.rule import Case, Rule
from harness.findings.severity import SIDE_EFFECT, WRONG_DATA
from harness.format.header import Header
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.deaths import CRASH
from harness.oracles.oracle import Execution, oracle
from harness.oracles.written import TEXTS, WIDER, judged, mode_aspect, only_metadata_order_differs
from harness.programs.arrays import NUMPY_NAMES
from harness.targets.writers.array_values import format_dtype
from harness.targets.writers.program import ODD_PATHS, PATHS, WRITES, Call, Content, Died, Program

_KNOWN = 1 << 13

_SHOULD = "what is saved is what comes back, in equal bytes each time; or it is refused with a documented error"


def _rule(
    name: str, severity: str, title: str, why: str, check: str = "values", cases: tuple[Case, ...] = TEXTS
) -> Rule:
    return Rule(
        f"roundtrip.{name}",
        "roundtrip",
        "roundtrip",
        severity,
        title=title,
        why=why,
        should=_SHOULD,
        check=check,
        cases=cases,
    )


WRITTEN = _rule(
    "written",
    WRONG_DATA,
    "A writer writes something else than it was given",
    "The file does not hold what the writer was given, or is no valid file, and no error says so. The writer must refuse what it cannot write.",
)
UNSTABLE = _rule(
    "unstable",
    SIDE_EFFECT,
    "The same content gives another file each time",
    "Equal content gives other bytes each time. Hashes of files, caches and reproducible builds see a change where there is none.",
)
EQUAL = _rule(
    "equal",
    WRONG_DATA,
    "Equal arrays give different files",
    "Arrays with equal values, in another layout or order, give other bytes.",
)
RESAVED = _rule(
    "resaved",
    WRONG_DATA,
    "Loaded and saved again, the file has other bytes",
    "A file that is loaded and saved again has other bytes than before.",
)
MODE = _rule(
    "mode",
    SIDE_EFFECT,
    "A written file has the mode of a temporary file",
    "The file keeps the mode of a temporary file, which only its owner may read. The umask and the old file's mode count for nothing.",
    cases=(WIDER,),
)
REFUSED = _rule(
    "refused",
    WRONG_DATA,
    "A writer refuses what a file can hold",
    "A file can hold this, and the documentation names no reason to refuse it.",
    "refused",
)
UNREAD = _rule(
    "unread",
    WRONG_DATA,
    "The library refuses to read what it wrote",
    "The library's own reader refuses the file that its writer wrote.",
)
READ = _rule(
    "read",
    WRONG_DATA,
    "The content read back differs from the saved content",
    "The file holds what was saved. The reader gives something else.",
)
LEFT_OVER = _rule(
    "left-over", SIDE_EFFECT, "A writer leaves a temporary file", "A temporary file stays behind after the call."
)


@oracle(WRITTEN, UNSTABLE, EQUAL, RESAVED, MODE, REFUSED, UNREAD, READ, LEFT_OVER, CRASH)
def check(execution: Execution) -> list[Finding]:
    """The files and readings of a program of target ``writers``, against what the program asked for."""
    trace = execution.trace
    if trace is None:
        return []
    found: list[Finding] = []
    #: The content of the file written last; None where it is wrong, or there is none.
    right: Content | None = None
    for event in trace.events:
        call: Call = event.about.call
        if event.call in WRITES:
            content = trace.program.content(call)
            more = _written(content, event, call)
            # A mode is no matter of what the file holds.
            right = content if event.outcome == ACCEPT and not (more and more[0].rule is WRITTEN) else None
            found += more
        elif event.call == "left_over":
            found.append(Finding(LEFT_OVER, call.kind, f"{event.value} files are left behind that nobody asked for"))
        elif event.call in _SAME:
            # Of a wrong file nothing need come back.
            if right is not None:
                found += _same(event)
        elif right is not None and not (event.outcome == ACCEPT and _comes_back(right, event)):
            found += _read(event)
    return found


# Writing.


def _written(content: Content, event: Event, call: Call) -> list[Finding]:
    if isinstance(event.value, Died):
        words = f"{call.kind} of an empty tensor at address 0 ends the process"
        return [Finding(CRASH, f"{event.value.signal}/null-pointer", words)]
    if event.outcome == REJECT:
        if content.sound and call.path not in _REFUSED_PATHS and isinstance(event.value, Exception):
            words = f"{call.kind} refuses what a file can hold: {event.error[:200]}"
            return [Finding(REFUSED, f"{_writer(call)}: {normalise(event.error)}", words)]
        return []
    if event.outcome != ACCEPT:
        return []
    if event.value is None:
        return [
            Finding(WRITTEN, f"{_writer(call)}: nothing", f"{call.kind} says that it wrote a file, and none is there")
        ]
    found = []
    if event.value != content.right:
        wrong = _wrong(content, event.value)
        if wrong is None:
            content.right = event.value
        else:
            found.append(Finding(WRITTEN, f"{_writer(call)}: {wrong[0]}", f"{call.kind}: {wrong[1]}"))
    mode = event.about.mode
    if mode is not None and mode[0] != mode[1]:
        kind = "existing" if call.path in ("existing", "symlink", "read-only") else "new"
        words = f"{call.kind} makes a file of mode {mode[0]:o} where other programs would have made it {mode[1]:o}"
        found.append(Finding(MODE, mode_aspect(kind, *mode), words))
    return found


_REFUSED_PATHS = frozenset(PATHS[ODD_PATHS:])


def _writer(call: Call) -> str:
    return "numpy" if call.arrays else "serialize"


@lru_cache(_KNOWN)
def _wrong(content: Content, raw: bytes) -> tuple[str, str] | None:
    """The fault of a file, as an aspect and in words; None where there is none."""
    if content.odd:
        return f"accepted/{content.odd}", f"a file is made of what no file can hold ({content.odd})"
    judgement = judged(raw)
    header = judgement.header
    if judgement.verdict == "reject" or header is None:
        return f"{judgement.rule}/{judgement.aspect}", f"what is written is no valid file: {judgement.detail}"
    tensors = content.tensors
    if len(header.tensors) != len(tensors) or any(tensor.name not in tensors for tensor in header.tensors):
        names = [tensor.name for tensor in header.tensors]
        return "names", f"tensors {list(tensors)!r:.200} are written as {names!r:.200}"
    start = 8 + header.size
    for name, dtype, shape, begin, end in header.tensors:
        wanted = tensors[name]
        if dtype != wanted[0]:
            return f"dtype/{wanted[3]}", f"a tensor of {wanted[0]} is written as {dtype}"
        if shape != wanted[1]:
            return f"shape/{wanted[3]}", f"a tensor of shape {list(wanted[1])} is written with shape {list(shape)}"
        if raw[start + begin : start + end] != wanted[2]:
            words = f"a tensor of {dtype} {list(shape)} ({wanted[3]}) is written with other values than it has"
            return f"bytes/{wanted[3]}", words
    if (header.metadata or {}) != (content.metadata.value or {}):
        return "metadata", f"metadata {content.metadata.value!r:.200} is written as {header.metadata!r:.200}"
    return None


def memory_state(program: Program, call: str, files: tuple[bytes, bytes] | None) -> str:
    """The words of an aspect about memory of others: see :meth:`harness.targets.base.Target.memory_state`.

    The layout is that of the first tensor that differs between ``files``, else of the first that is not in C order.
    """
    if call not in (*WRITES, *_SAME):
        return call
    made = next((one for one in program.calls if one.kind == call), Call(call))
    tensors = program.content(made).tensors
    words = sorted({word for *_, word in tensors.values()} - {"plain"})
    header = judged(files[0]).header if files else None
    if files and header is not None:
        start = 8 + header.size
        for name, _, _, begin, end in header.tensors:
            if files[0][start + begin : start + end] != files[1][start + begin : start + end] and name in tensors:
                words = [tensors[name][3]]
                break
    return f"{_writer(made)}: {words[0] if words else 'plain'}"


# Reading back.


def _comes_back(content: Content, event: Event) -> bool:
    """Whether the call read all that the file holds. Where not, :func:`_read` tells the difference."""
    value, tensors = event.value, content.tensors
    if event.call == "deserialize":
        if len({name for name, _ in value}) != len(tensors):
            return False
        for name, one in value:
            entry = tensors.get(name)
            if entry is None or (one["dtype"], tuple(one["shape"]), one["data"]) != entry[:3]:
                return False
        return True
    if event.call == "safe_open":
        value, metadata, names = value
        if (metadata or {}) != (content.metadata.value or {}) or len(names) != len(tensors):
            return False
    if len(value) != len(tensors):
        return False
    for name, array in value.items():
        entry = tensors.get(name)
        if entry is None or type(array) is not numpy.ndarray or array.dtype is not _NATIVE.get(entry[0]):
            return False
        if array.shape != entry[1] or array.tobytes() != entry[2]:
            return False
    return True


_NATIVE = {code: numpy.dtype(name) for code, name in NUMPY_NAMES.items()}


def _read(event: Event) -> list[Finding]:
    call, raw = event.about.call, event.about.file
    header = judged(raw).header
    assert header is not None  # only of right files
    known = event.call == "deserialize" or all(tensor.dtype in NUMPY_NAMES for tensor in header.tensors)
    if event.outcome == REJECT:
        if not known:
            return []
        words = f"{call.kind} refuses what was written: {event.error[:200]}"
        return [Finding(UNREAD, f"{call.kind}: {normalise(event.error)}", words)]
    if event.outcome != ACCEPT:
        return []
    value = event.value
    if call.kind == "safe_open":
        value, metadata, names = value
        if (metadata or {}) != (header.metadata or {}):
            return [
                Finding(READ, "safe_open: metadata", f"metadata {header.metadata!r:.200} is read as {metadata!r:.200}")
            ]
        if len(names) != len(header.tensors):
            return [Finding(READ, "safe_open: keys", f"{len(header.tensors)} tensors, listed are {names!r:.200}")]
    read = _described(value) if call.kind == "deserialize" else _arrays(value)
    wrong = _difference(header, raw, read)
    if wrong is None:
        return []
    return [
        Finding(READ, f"{call.kind}: {wrong}", f"{call.kind} of what was written gives other {wrong} than it holds")
    ]


Read = dict[str, tuple[str, tuple[int, ...], bytes]]


def _described(value: Any) -> Read:
    return {name: (t["dtype"], tuple(t["shape"]), bytes(t["data"])) for name, t in value}


def _arrays(value: Any) -> Read:
    read: Read = {}
    for name, array in value.items():
        if not isinstance(array, numpy.ndarray):
            read[name] = (type(array).__name__, (), b"")
        else:
            read[name] = (
                format_dtype(array.dtype) if array.dtype.isnative else array.dtype.str,
                array.shape,
                array.tobytes(),
            )
    return read


def _difference(header: Header, raw: bytes, read: Read) -> str | None:
    """The first part of a file that was read otherwise: names, dtype, shape or bytes."""
    if len(read) != len(header.tensors):
        return "names"
    start = 8 + header.size
    for name, dtype, shape, begin, end in header.tensors:
        one = read.get(name)
        if one is None:
            return "names"
        if one[0] != dtype:
            return "dtype"
        if one[1] != shape:
            return "shape"
        if one[2] != raw[start + begin : start + end]:
            return "bytes"
    return None


# The same content gives the same bytes.

_SAME = {
    "again": (UNSTABLE, "the same call gives other bytes the next time"),
    "equal": (EQUAL, "equal arrays in another layout and order give other bytes"),
    "resave": (RESAVED, "what is loaded and saved again has other bytes"),
}


def _same(event: Event) -> list[Finding]:
    rule, words = _SAME[event.call]
    if event.outcome == REJECT:
        return [Finding(rule, f"refused: {normalise(event.error)}", f"{words}: {event.error[:200]}")]
    if event.outcome != ACCEPT or event.value == event.about.file:
        return []
    if event.call != "again" and only_metadata_order_differs(event.value, event.about.file):
        # One defect has one name: "again" meets it too.
        return []
    aspect = "metadata-order" if only_metadata_order_differs(event.value, event.about.file) else "bytes"
    return [Finding(rule, aspect, words)]
