"""Tensors of a framework hold the bytes of the file, by either backend, and stay as they are.

The judge's bytes are those that the program put into the file. A part is numpy's part of the elements without a type. Some
rules have the names of other subjects: a defect that shows there, too, has one signature in both.
"""

from __future__ import annotations

from harness.findings.finding import Finding, normalise
from harness.findings.rule import Case, Rule
from harness.findings.severity import LENIENCY, STRICTNESS, WRONG_DATA
from harness.format.dtypes import DTYPE_BITS
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.oracle import Execution, oracle
from harness.targets.framework_readers.program import READS, Call, Held, Program

_BACKEND = (
    'Storage backend used to serve tensor bytes. `"mmap"` (default) and `"pread"` uses `pread(2)` to read tensor bytes.'
)
_SLICE = "A dummy object you can slice into to get a real tensor"
_LOAD = "dictionary that contains name as key, value as `torch.Tensor` on cpu"


def _rule(name: str, severity: str, title: str, why: str, sentence: str, cases: tuple[Case, ...] = ()) -> Rule:
    return Rule(
        name,
        "readers",
        "differential",
        severity,
        title=title,
        why=why,
        sentence=sentence,
        should="both backends give the bytes of the file, and a value stays as it was read",
        check="values",
        cases=cases,
    )


READ = _rule(
    "readers.*",
    WRONG_DATA,
    "A framework reads something else than the file holds",
    "The tensor has other names, another shape or other bytes than the file. No error says so.",
    _LOAD,
)
DTYPE = _rule(
    "agreement.*",
    WRONG_DATA,
    "A framework reads another dtype than the file has, or nothing by one backend",
    "The tensor has another dtype than the file says, or one backend reads no tensor at all.",
    _LOAD,
)
PART = _rule(
    "numpy.*",
    WRONG_DATA,
    "A part for a framework is not numpy's part",
    "A part of a tensor is not the part that numpy gives of the whole. The caller computes with other data.",
    _SLICE,
    (Case("accepted*", LENIENCY),),
)
PACKED = _rule(
    "quantized.*",
    WRONG_DATA,
    "A part of a packed tensor is not what the file holds",
    "A part of a tensor of elements below a byte has another shape than its elements have.",
    _SLICE,
)
REFUSED = _rule(
    "refused",
    STRICTNESS,
    "A part within a tensor is refused for a framework",
    "The ranges of the ranks lie within the tensor and hold elements. The call refuses one.",
    _SLICE,
)
BACKENDS = _rule(
    "readers.backends",
    WRONG_DATA,
    "The backends disagree on a subscript",
    "The same subscript of the same file gives one answer by mmap and another one by pread.",
    _BACKEND,
    (Case("refused*", STRICTNESS),),
)
SHARED = _rule(
    "readers.shared",
    WRONG_DATA,
    "A write to one tensor changes another",
    "The caller writes to one tensor in place. Another tensor changes, or what the next read gives, or the file. pread gives each call memory of its own.",
    _BACKEND,
)
LOST = _rule(
    "readers.lost",
    WRONG_DATA,
    "A tensor changes after its read",
    "Nothing wrote to the tensor. Its handle was closed, or its file was replaced under the same path.",
    _LOAD,
)


@oracle(READ, DTYPE, PART, PACKED, REFUSED, BACKENDS, SHARED, LOST)
def check(execution: Execution) -> list[Finding]:
    """The calls of a program of reads, against its file."""
    trace = execution.trace
    if trace is None:
        return []
    found: list[Finding] = []
    for event in trace.events:
        call: Call = event.about
        if event.call == "backends":
            found += _backends(trace.program, event)
        elif call.kind in READS:
            found += _read(trace.program, event)
        else:
            found += _changed(event)
    return found


def _read(program: Program, event: Event) -> list[Finding]:
    call: Call = event.about
    wanted = program.wanted(call)
    if event.outcome == REJECT:
        # Parts without elements, and parts of a byte, may be refused for reasons of their own.
        whole = all(held is not None and held[2] and DTYPE_BITS[held[0]] % 8 == 0 for held in wanted)
        if call.kind == "split" and whole:
            words = f"a part of {call.sources} of {program.tensors[call.tensor][2]} is refused: {event.error[:200]}"
            return [_lacking(event, words) or Finding(REFUSED, f"{call.backend}: {normalise(event.error)}", words)]
        return []
    if event.outcome != ACCEPT:
        return []
    names, given = event.value
    if names is not None and not given and program.tensors:
        return [Finding(READ.member(call.kind), "names", f"{call.kind} gave the names {names!r:.200}")]
    for place, (was, held) in enumerate(zip(wanted, given, strict=True)):
        found = _compare(program, call, place, was, held)
        if found:
            return [found]
    return []


def _compare(program: Program, call: Call, place: int, was: Held | None, held: Held) -> Finding | None:
    """The finding of one tensor of a read, if it is not the one of the file."""
    own = program.slices_itself(call)
    if own and (call.framework_form or was is None):
        return None
    dtype, shape, _ = program.whole(call.tensor if call.tensor >= 0 else place, call.version)
    words = f"{call.kind}{list(call.sources)} of {dtype} {list(shape)} by {call.backend}"
    if held[0] != dtype:
        return Finding(DTYPE.member("deserialize-mmap.get_tensor"), "dtype", f"{words} has the dtype {held[0]}")
    packed = DTYPE_BITS[dtype] % 8 != 0
    if was is None:
        # Where a byte has parts of two elements there is no part, and a call that gives one gives its whole bytes.
        return (
            None if packed else Finding(PART.member("get_slice"), f"accepted/{call.form}", f"{words}: numpy refuses it")
        )
    aspect = next(
        (word for word, one, other in zip(("shape", "bytes"), was[1:], held[1:], strict=True) if one != other), ""
    )
    if not aspect:
        return None
    summary = f"{words} gives {held[1:]!r:.160}, the file has {was[1:]!r:.160}"
    if aspect == "bytes" and call.late:
        return Finding(SHARED, f"later read of {_memory(call)}", f"after a write to another value, {summary}")
    if call.kind == "get_slice":
        if packed:
            return Finding(PACKED.member("get_slice"), f"{aspect}/{dtype}", summary)
        return Finding((READ if own else PART).member("get_slice"), f"{aspect}/{call.form}", summary)
    return Finding(READ.member(call.kind), aspect, summary)


def _memory(call: Call) -> str:
    """The origin of the memory of a value: the backend of its handle, or the function that loads a whole file."""
    return call.kind if call.kind.startswith("load") else call.backend


def _lacking(refused: Event, words: str) -> Finding | None:
    """The finding of a backend that reads nothing at all for a framework, in the words of the loaders' targets."""
    if "Could not find module" not in refused.error:
        return None
    return Finding(DTYPE.member("deserialize-load_file.pread"), "outcome:accept/reject", words)


def _backends(program: Program, event: Event) -> list[Finding]:
    """Two ends of one subscript. Of one that numpy refuses, or that frameworks read in ways of their own, none is right."""
    call: Call = event.about
    wanted = program.wanted(call)[0]
    if call.framework_form or wanted is None or call.late:
        return []
    words = f"{call.sources[0]} of {list(program.tensors[call.tensor][2])}"
    one, other = event.value
    if one.outcome != other.outcome:
        refused = one if one.outcome == REJECT else other
        words += f": one backend reads it, {refused.about.backend} says {refused.error[:200]}"
        if lacking := _lacking(refused, words):
            return [lacking]
        if not wanted[2]:
            # Parts without elements are refused for reasons of their own: target ``parallel`` has their names.
            empty = 0 in program.tensors[call.tensor][2]
            return [Finding(REFUSED, "of-no-elements" if empty else "empty-at-end", words)]
        return [Finding(BACKENDS, f"refused by {refused.about.backend}/{call.form}", words)]
    if one.outcome == ACCEPT and one.value != other.value:
        return [Finding(BACKENDS, f"values/{call.form}", f"{words} gives two values")]
    return []


def _changed(event: Event) -> list[Finding]:
    """The values that a step changed, which should have changed none of them."""
    call: Call = event.about
    found = []
    for of, _, what in event.value:
        if call.kind == "write":
            words = f"a write to what {of.kind} gave changes the file"
            if what != "file":
                words = f"a write to another value changes {what} of what {of.kind} gave ({of.backend})"
            found.append(Finding(SHARED, "file" if what == "file" else f"value of {_memory(of)}", words))
        else:
            words = f"{what} of what {of.kind} gave ({of.backend}) differ after {call.kind}"
            found.append(Finding(LOST, f"{of.kind}: {call.kind}", words))
    return found
