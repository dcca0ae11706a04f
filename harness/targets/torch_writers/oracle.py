"""Tensors saved with ``safetensors.torch`` come back the same; a module that was saved loads onto one like it.

The program tells what a file should hold, and the judge tells what it holds: see :mod:`harness.targets.writers.oracle`,
which does the same for numpy.
"""

from __future__ import annotations

from typing import Any

from harness.findings.finding import Finding, normalise
from harness.findings.rule import Case, Rule
from harness.findings.severity import SIDE_EFFECT, STRICTNESS, WRONG_DATA
from harness.format.header import Header
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.oracle import Execution, oracle
from harness.oracles.written import TEXTS, judged, only_metadata_order_differs
from harness.programs.arrays import WRITER_DTYPES
from harness.targets.torch_writers.program import TWIN, WRITES, Call, Program, Things, whole
from harness.targets.torch_writers.tensors import TensorValue

Held = dict[str, tuple[str, tuple[int, ...], bytes | None]]

_SHOULD = "what is saved is what comes back, as the documentation says, or it is refused with a documented error"
_CASES = (Case("types: *", sentence="`(missing, unexpected): (List[str], List[str])`"), *TEXTS)


def _rule(name: str, severity: str, title: str, why: str, check: str = "values") -> Rule:
    return Rule(
        f"torch.{name}",
        "torch_roundtrip",
        "roundtrip",
        severity,
        title=title,
        why=why,
        should=_SHOULD,
        check=check,
        cases=_CASES,
    )


WRITTEN = _rule(
    "written",
    WRONG_DATA,
    "A saver for torch writes something else than it was given",
    "The file does not hold what the saver was given, or is no valid file, and no error says so. The saver must refuse what it cannot write.",
)
REFUSED = _rule(
    "refused",
    STRICTNESS,
    "A saver for torch refuses what a file can hold",
    "A file can hold this, and the documentation names no reason to refuse it.",
    "refused",
)
CHANGED = _rule(
    "changed",
    SIDE_EFFECT,
    "A saver for torch changes its argument",
    "The call changes a value of the caller's. The next call gets the changed value.",
)
UNREAD = _rule(
    "unread",
    STRICTNESS,
    "A loader for torch refuses what the saver wrote",
    "The library's own loader refuses the file that its saver wrote.",
)
READ = _rule(
    "read",
    WRONG_DATA,
    "A loader for torch gives something else than the file holds",
    "The file holds what was saved. The loader gives something else.",
)
TWICE = _rule(
    "twice",
    WRONG_DATA,
    "Two loads for torch share memory",
    "A tensor that was read before is a part of the file, or of what is read next. Writing to it changes the other.",
)
UNSTABLE = _rule(
    "unstable",
    SIDE_EFFECT,
    "The same tensors give another file each time",
    "Equal content gives other bytes each time. Hashes of files, caches and reproducible builds see a change where there is none.",
)
RESAVED = _rule(
    "resaved",
    WRONG_DATA,
    "Loaded and saved again for torch, the file has other bytes",
    "A file that is loaded and saved again has other bytes than before.",
)
ANSWER = _rule(
    "answer",
    SIDE_EFFECT,
    "load_model gives a wrong answer",
    "load_model tells the caller something else than is so, or than the documentation says.",
)
LOADED = _rule(
    "loaded",
    WRONG_DATA,
    "load_model leaves a model with other values",
    "The module does not hold what was loaded onto it.",
)
KEPT = _rule(
    "kept",
    SIDE_EFFECT,
    "save_model keeps another of several names",
    "Several names have one whole memory. Upstream's test test_remove_duplicate_names keeps the first of them in sorted order. "
    "With another choice the same model gives another file.",
)


@oracle(WRITTEN, REFUSED, CHANGED, UNREAD, READ, TWICE, UNSTABLE, RESAVED, ANSWER, LOADED, KEPT)
def check(execution: Execution) -> list[Finding]:
    """The files and readings of a program of target ``torch_writers``, against what the program asked for."""
    trace = execution.trace
    if trace is None:
        return []
    found: list[Finding] = []
    right = False
    for event in trace.events:
        kind = event.about.call.kind
        if kind in WRITES:
            more = _written(trace.program.things, event)
            right = event.outcome == ACCEPT and not any(one.rule is WRITTEN for one in more)
            found += more
        elif right:
            # Of a wrong file nothing need come back.
            found += _READ[kind](trace.program, event)
    return found


# Writing.

# Layouts that torch marks and works out when somebody looks: the sign is another than memory says.
_LAZY = {"conj": "lazy", "neg": "lazy"}


def memory_state(program: Program, call: str, files: tuple[bytes, bytes] | None) -> str:
    """The words of an aspect about memory of others: see :meth:`harness.targets.base.Target.memory_state`."""
    if call not in (*WRITES, "again", "resave"):
        return call
    tensors = program.things.state if call == "save_model" else program.things.tensors
    words = sorted({one.word for one in tensors.values()} - {"plain"})
    header = judged(files[0]).header if files else None
    if files and header is not None:
        start = 8 + header.size
        for name, _, _, begin, end in header.tensors:
            if files[0][start + begin : start + end] != files[1][start + begin : start + end] and name in tensors:
                words = [tensors[name].word]
                break
    return f"{call}: {words[0] if words else 'plain'}"


def _written(things: Things, event: Event) -> list[Finding]:
    call: Call = event.about.call
    found = []
    if event.about.changed is not None:
        words = f"{call.kind} changes the metadata that it is given, to {event.about.changed!r:.200}"
        found.append(Finding(CHANGED, f"{call.kind}: metadata", words))
    if event.outcome == REJECT:
        return found + _refused(things, event, call)
    if event.outcome == ACCEPT:
        wrong = (_wrong_module if call.kind == "save_model" else _wrong)(things, event.value)
        if wrong:
            found.append(Finding(WRITTEN, wrong[0], f"{call.kind}: {wrong[1]}"))
        elif call.kind == "save_model" and (other := _other_kept(things, event.value)):
            found.append(Finding(KEPT, "name", other))
    return found


def _other_kept(things: Things, raw: bytes) -> str:
    """In words, a name in the file before which another name with the same whole memory sorts; "" where there is none."""
    header = judged(raw).header
    assert header is not None  # only of right files
    whole_memory: dict[int, list[str]] = {}
    for name in sorted(things.state):
        made = things.state[name]
        if made.complete and made.data:
            whole_memory.setdefault(made.memory.number, []).append(name)
    for tensor in header.tensors:
        names = next((names for names in whole_memory.values() if tensor.name in names), [tensor.name])
        if names[0] != tensor.name:
            return f"save_model keeps {tensor.name!r:.80} of the names {names!r:.150}"
    return ""


def _writer(call: Call) -> str:
    return "save_model" if call.kind == "save_model" else "save"


def _refused(things: Things, event: Event, call: Call) -> list[Finding]:
    words = f"{call.kind} refuses what a file can hold: {event.error[:200]}"
    aspect = f"{_writer(call)}: {normalise(event.error)}"
    if call.kind != "save_model":
        return [Finding(REFUSED, aspect, words)] if things.sound else []
    if "use `save_model`" in event.error:
        words = f"save_model refuses a model and advises to use save_model: {event.error[:200]}"
        return [Finding(REFUSED, "save_model: advises save_model", words)]
    return [Finding(REFUSED, aspect, words)] if things.sound_state(contiguous=call.contiguous) else []


def _wrong(things: Things, raw: bytes) -> tuple[str, str] | None:
    """The fault of a file of the dictionary, as an aspect and in words; None where there is none."""
    if things.odd:
        return f"accepted/{things.odd}", f"a file is made of what no file can hold ({things.odd})"
    header, wrong = _header(raw)
    if header is None:
        return wrong
    names = {tensor.name for tensor in header.tensors}
    if names != things.tensors.keys():
        return "names", f"tensors {list(things.tensors)!r:.200} are written as {names!r:.200}"
    if (header.metadata or {}) != (things.metadata.value or {}):
        return "metadata", f"metadata {things.metadata.value!r:.200} is written as {header.metadata!r:.200}"
    return _values(header, raw, things.tensors)


def _wrong_module(things: Things, raw: bytes) -> tuple[str, str] | None:
    """The same of a file of the module: names may be left out whose values stand under another."""
    if things.odd_state:
        return f"accepted/{things.odd_state}", f"a file is made of what no file can hold ({things.odd_state})"
    header, wrong = _header(raw)
    if header is None:
        return wrong
    state = things.state
    names = {tensor.name for tensor in header.tensors}
    if not names <= state.keys():
        return "names", f"tensors {list(state)!r:.200} are written as {names!r:.200}"
    left = state.keys() - names
    for name in sorted(left):
        if not any(state[other].holds(state[name]) for other in names):
            return "lost", f"the values of {name!r} ({state[name].word}) are in no tensor of the file"
    metadata, given = header.metadata or {}, things.metadata.value or {}
    if any(metadata.get(key) != value for key, value in given.items()) or metadata.keys() != given.keys() | left:
        return "metadata", f"metadata {given!r:.200} without {sorted(left)!r:.100} is written as {metadata!r:.200}"
    return _values(header, raw, state)


def _header(raw: bytes) -> tuple[Header | None, tuple[str, str] | None]:
    judgement = judged(raw)
    if judgement.verdict == "reject" or judgement.header is None:
        return None, (f"{judgement.rule}/{judgement.aspect}", f"what is written is no valid file: {judgement.detail}")
    return judgement.header, None


def _values(header: Header, raw: bytes, tensors: dict[Any, TensorValue]) -> tuple[str, str] | None:
    for tensor in header.tensors:
        made = tensors[tensor.name]
        dtype, shape, data = made.entry
        if tensor.dtype != dtype:
            return f"dtype/{made.word}", f"a tensor of {made.dtype} is written as {tensor.dtype}"
        if tensor.shape != shape:
            return f"shape/{made.word}", f"a tensor of shape {list(shape)} is written with shape {list(tensor.shape)}"
        if bytes(header.payload(raw, tensor)) != data:
            words = f"a tensor of {made.dtype} {list(shape)} ({made.word}) is written with other values than it has"
            return f"bytes/{_LAZY.get(made.word, made.word)}", words
    return None


# Reading back.


def _file(raw: bytes) -> Held:
    """The content of a right file, in the words of torch."""
    header = judged(raw).header
    assert header is not None  # only of right files
    held: Held = {}
    for tensor in header.tensors:
        shape = tensor.shape
        if tensor.dtype == "F4" and shape:
            shape = (*shape[:-1], shape[-1] // 2)
        held[tensor.name] = WRITER_DTYPES[tensor.dtype], shape, bytes(header.payload(raw, tensor))
    return held


def _difference(wanted: Held, held: Held) -> str:
    """The first difference between tensors: names, dtype, shape or bytes; "" where there is none."""
    if wanted.keys() != held.keys():
        return "names"
    for name, about in wanted.items():
        for word, one, other in zip(("dtype", "shape", "bytes"), about, held[name], strict=True):
            if one != other:
                return word
    return ""


def _read(program: Program, event: Event) -> list[Finding]:
    call: Call = event.about.call
    if event.outcome == REJECT:
        words = f"{call.kind} refuses what was written: {event.error[:200]}"
        return [Finding(UNREAD, f"{call.kind}: {normalise(event.error)}", words)]
    wrong = _difference(_file(event.about.file), event.value) if event.outcome == ACCEPT else ""
    return (
        [Finding(READ, f"{call.kind}: {wrong}", f"{call.kind} gives other {wrong} than the file holds")]
        if wrong
        else []
    )


def _twice(program: Program, event: Event) -> list[Finding]:
    if event.outcome != ACCEPT:
        return []
    reader = event.about.call.reader
    first, second, file = event.value
    if file != event.about.file:
        return [Finding(TWICE, f"{reader}: file", f"to write into what {reader} gave changes the file")]
    if _difference(first, second):
        return [Finding(TWICE, f"{reader}: values", f"{reader} gives something else the second time")]
    return []


def _repeated(program: Program, event: Event) -> list[Finding]:
    return _same(event, UNSTABLE, "the same call gives other bytes the next time")


def _resaved(program: Program, event: Event) -> list[Finding]:
    # A module's file says more in its metadata, and a tensor of a dtype that load does not know is the contract's matter.
    if event.about.writer.kind == "save_model":
        return []
    return _same(event, RESAVED, "what is loaded and saved again has other bytes")


def _same(event: Event, rule: Rule, words: str) -> list[Finding]:
    if event.outcome == REJECT:
        return [Finding(rule, f"refused: {normalise(event.error)}", f"{words}: {event.error[:200]}")]
    if event.outcome != ACCEPT or event.value == event.about.file:
        return []
    if only_metadata_order_differs(event.value, event.about.file):
        # Found in every writer, with the first that was looked at: entries of metadata stand in random order.
        return []
    return [Finding(rule, "bytes", words)]


def _loaded(program: Program, event: Event) -> list[Finding]:
    """``load_model``: the names that it returns, a refusal of a file that fits, and the values of the model after it."""
    call: Call = event.about.call
    things, file = program.things, _file(event.about.file)
    model = {key: item.tensor for key, item in things.model(call.model)}
    odd = any(made is None or made.odd for made in model.values())
    tensors = {key: made for key, made in model.items() if made is not None}
    unexpected = file.keys() - tensors.keys()
    there = file.keys() & tensors.keys()
    # A tensor without bytes is in no other tensor.
    missing = {
        key
        for key, made in tensors.items()
        if key not in there and not (made.data and any(tensors[name].holds(made) for name in there))
    }
    fits = all(file[name][1] == tensors[name].shape for name in there)
    # Without its last tensor a module holds the first of two equal names, and the file has the second. Torch converts it.
    other = call.model == "fewer" and len({*things.names}) < len(things.names)
    if event.outcome == REJECT:
        # A model with memories of which no name has all is refused, and says so.
        if (
            odd
            or other
            or not fits
            or not whole(list(tensors.values()), contiguous=True)
            or (call.strict and (missing or unexpected))
        ):
            return []
        words = f"load_model refuses the file of a model like it: {event.error[:200]}"
        return [Finding(UNREAD, f"load_model: {normalise(event.error)}", words)]
    if event.outcome != ACCEPT:
        return []
    state, said_missing, said_unexpected, types = event.value
    found = []
    if types != (list, list):
        kinds = tuple(one.__name__ for one in types)
        found.append(Finding(ANSWER, f"types: {kinds}", f"load_model says that it gives two lists, and gives {kinds}"))
    if other:
        return found
    if not fits:
        return [*found, Finding(LOADED, "shape accepted", "load_model takes a tensor of another shape")]
    if call.strict and (missing or unexpected):
        words = f"load_model is strict and takes a file without {sorted(missing)} and with {sorted(unexpected)}"
        return [*found, Finding(LOADED, "strict accepted", words)]
    if odd:
        return found
    if set(said_missing) != missing:
        words = f"load_model says that {said_missing} are missing, and {sorted(missing)} are"
        found.append(Finding(ANSWER, "missing", words))
    # Names that share one memory and are both in the file: one of them was not used, in a way.
    if not unexpected <= set(said_unexpected) <= unexpected | there:
        words = f"load_model says that {said_unexpected} are unexpected, and {sorted(unexpected)} are"
        found.append(Finding(ANSWER, "unexpected", words))
    wanted: Held = {name: file[name] for name in there}
    if call.model in ("same", TWIN) and not missing:
        wanted = {key: (made.dtype, made.shape, made.data) for key, made in tensors.items()}
    wrong = _difference(wanted, {name: state[name] for name in wanted})
    if wrong:
        found.append(Finding(LOADED, wrong, f"a model has other {wrong} than the file that was loaded onto it"))
    return found


_READ = {
    "load": _read, "load_file": _read, "twice": _twice, "again": _repeated, "resave": _resaved, "load_model": _loaded,
}  # fmt: skip
