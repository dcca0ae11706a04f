"""The answers of the Rust rules.API, against the judge, against numpy, and against its own documentation.

A defect of the core shows through the binding too. The aspects of such findings are those of the targets that target ``crate`` is
built on, so that they count as known.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from harness.findings.finding import Finding
from harness.format.dtypes import DTYPE_BITS
from harness.format.header import Tensor
from harness.format.judge import Judgement, judge
from harness.format.rules import HEADER_LIMIT
from harness.observation import ACCEPT, NOT_READ, REJECT, Event, Reading
from harness.oracles import differential
from harness.oracles.oracle import Execution, oracle
from harness.oracles.written import judged
from harness.parsers.crate_api.library import (
    INTEGER,
    NARROW,
    SELECT,
    Fitted,
    Header,
    Info,
    Listing,
    Part,
    Refusal,
    View,
)
from harness.programs import arrays
from harness.targets.crate import expectation, rules, rust
from harness.targets.crate.program import LONGEST, Call, Program, bounds

#: The largest index of Rust: an error or a text cannot tell the one after it.
LARGEST = (1 << 64) - 1


@oracle(rules.API, rules.WRITTEN, *rules.FORMAT.values())
def check(execution: Execution) -> list[Finding]:
    """The calls of a program of target ``crate``."""
    trace = execution.trace
    if trace is None:
        return []
    found: list[Finding] = []
    for event in trace.events:
        if event.outcome in (ACCEPT, REJECT):
            found += _CHECKS[event.call](trace.program, event.about, event)
        if event.outcome == REJECT and isinstance(event.value, Refusal):
            found += _words(event.call, event.value)
    return found


def _refused_file(raw: bytes, judgement: Judgement, event: Event) -> list[Finding]:
    # The binding says this before the crate's words.
    return rules.as_own(differential.refused(raw, judgement, f"Error while deserializing: {event.error}"))


# -- files ----------------------------------------------------------------------------------------------------


def _plain(name: str, view: View) -> tuple[str, dict[str, object]]:
    return name, {"dtype": view.dtype, "shape": view.shape, "data": view.data}


def _deserialize(program: Program, call: Call, event: Event) -> list[Finding]:
    judgement = judged(program.raw)
    if event.outcome == REJECT:
        return _refused_file(program.raw, judgement, event)
    listing: Listing = event.value
    names = [name for name, _ in listing.tensors]
    if sorted(listing.names) != sorted(names):
        return rules.found("names", "names", f"gives {listing.names!r:.150}, tensors has {names!r:.150}")
    if listing.length != len(names) or listing.empty != (not names):
        return rules.found("len", "count", f"is {listing.length}, is_empty {listing.empty}, for {len(names)} tensors")
    if sorted(listing.iterated) != sorted(listing.tensors):
        return rules.found("iter", "names", "gives other tensors than tensors() does")
    reading = Reading([_plain(*row) for row in listing.tensors], NOT_READ)
    return rules.as_own(differential.accepted(program.raw, judgement, reading))


def _read_metadata(program: Program, call: Call, event: Event) -> list[Finding]:
    judgement = judged(program.raw)
    if event.outcome == REJECT:
        return _refused_file(program.raw, judgement, event)
    header: Header = event.value
    if judgement.verdict == "reject":
        return rules.as_own(differential.accepted(program.raw, judgement, Reading([], None)))
    if judgement.header is None or judgement.verdict != "accept":
        return []
    if header.size != judgement.header.size:
        return rules.found(
            event.call, "header-size", f"gives {header.size} for a header of {judgement.header.size} bytes"
        )
    wanted = {t.name: Info(t.dtype, list(t.shape), t.begin, t.end) for t in judgement.header.tensors}
    return _described(event.call, header, wanted, judgement.header.metadata)


def _described(call: str, header: Header, wanted: dict[str, Info], metadata: dict[str, str] | None) -> list[Finding]:
    """The methods of ``Metadata``."""
    if header.tensors != wanted:
        return rules.found(call, "tensors", f"gives {header.tensors!r:.200} for {wanted!r:.200}")
    if not header.by_name:
        return rules.found(call, "info", "tells another tensor by info(name) than by tensors()")
    if header.metadata != metadata:
        return rules.found(call, "metadata", f"gives {header.metadata!r:.100} for {metadata!r:.100}")
    length = max((info.end for info in wanted.values()), default=0)
    if header.data_len not in (length, None):
        return rules.found(call, "data-len", f"says {header.data_len} for {length} bytes")
    if header.offset_keys is not None:
        places = [(wanted[key].begin, wanted[key].end) for key in header.offset_keys if key in wanted]
        if sorted(header.offset_keys) != sorted(wanted) or places != sorted(places):
            return rules.found(call, "offset-keys", f"gives {header.offset_keys!r:.200}")
    return []


def _tensor(program: Program, call: Call, event: Event) -> list[Finding]:
    if program.damaged:
        return []
    if call.tensor < 0:
        return (
            rules.found("tensor", "accepted/absent", "gives a tensor that is not there")
            if event.outcome == ACCEPT
            else []
        )
    name, dtype, shape, salt = program.tensors[call.tensor]
    if event.outcome == REJECT:
        return rules.refused(event, "tensor")
    if event.value != View(dtype, list(shape), arrays.content(dtype, shape, salt)):
        return rules.found("tensor", "tensor", f"gives {event.value!r:.200} for {dtype} {list(shape)} ({name[:40]!r})")
    return []


def _header_text(program: Program, call: Call, event: Event) -> list[Finding]:
    """A header alone, against the same header before as much data as it claims."""
    if event.outcome == REJECT:
        return [] if program.damaged else rules.refused(event, "header")
    header: Header = event.value
    framed = len(program.header).to_bytes(8, "little") + program.header
    judgement = judge(framed, len(framed) + max((info.end for info in header.tensors.values()), default=0))
    if judgement.verdict == "reject":
        # JSON allows white space around a value, and the rules of the file do not.
        alone = judgement.rule in ("header.first-byte", "header.padding")
        return [] if alone else rules.as_own(differential.accepted(framed, judgement, Reading([], None)))
    if judgement.header is None or judgement.verdict != "accept":
        return []
    wanted = {t.name: Info(t.dtype, list(t.shape), t.begin, t.end) for t in judgement.header.tensors}
    return _described(event.call, header, wanted, judgement.header.metadata)


# -- parts ----------------------------------------------------------------------------------------------------


def _slice(program: Program, call: Call, event: Event) -> list[Finding]:
    if program.damaged:
        return []
    _, dtype, shape, salt = program.tensors[call.tensor]
    wanted = expectation.part(dtype, shape, salt, call.items)
    words = f"of {dtype} {list(shape)} by {rust.index(call)}"
    if event.outcome == REJECT:
        return _refused_part(wanted, shape, words, event)
    if wanted.fault:
        # A bound past the largest integer is a cause of its own: it must not hide others.
        within = all(max(start, stop) <= LARGEST for _, start, stop in wanted.outside)
        fault = "past-end" if wanted.fault == expectation.OUTSIDE and within else wanted.fault
        return rules.found(event.call, f"accepted/{fault}", f"{words} gives a part")
    if event.call == "slice_byte_ranges":
        shape_given, ranges = event.value
        content = arrays.content(dtype, shape, salt)
        data = b"".join(content[start:stop] for start, stop in ranges)
    else:
        given: Part = event.value
        shape_given, data = given.shape, b"".join(chunk for chunk, _ in given.chunks)
        lengths = [given.length, *(left for _, left in given.chunks)]
        steps = [one - other for one, other in pairwise(lengths)]
        if lengths[-1] or steps != [len(chunk) for chunk, _ in given.chunks] or given.more:
            return rules.found(event.call, "length", f"{words}: {lengths!r:.100} bytes are left at each chunk")
        if given.method:
            return rules.found(
                event.call, f"method/{given.method}", f"{words} gives other chunks by {given.method}() than by next()"
            )
    if tuple(shape_given) != wanted.shape:
        return rules.found(event.call, "shape", f"{words} has shape {shape_given}, not {list(wanted.shape)}")
    if data != wanted.data:
        aspect = "bytes" if wanted.data else "bytes/of-nothing"
        return rules.found(
            event.call, aspect, f"{words} gives {len(data)} bytes, {data!r:.60}, not {wanted.data!r:.60}"
        )
    return []


def _refused_part(wanted: expectation.Wanted, shape: tuple[int, ...], words: str, event: Event) -> list[Finding]:
    """A part that is valid, or an error that does not tell the truth."""
    error = event.value
    if not wanted.fault:
        # The ends of a part of nothing may lie within a byte.
        if error.variant == "MisalignedSlice" and not wanted.data:
            return []
        return rules.refused(event, wanted.place or ("misaligned" if error.variant == "MisalignedSlice" else "part"))
    if (error.variant == "TooManySlices") != (wanted.fault == expectation.TOO_MANY):
        return rules.found(event.call, "error/variant", f"{words} is refused with {error.variant}: {error}")
    if error.variant != "SliceOutOfRange":
        return []
    axis, asked, size = error.fields
    places = {place: (start, stop) for place, start, stop in wanted.outside}
    # An empty part at the end of a dimension is refused, which is a finding of its own.
    if wanted.fault == expectation.MISALIGNED or axis not in places:
        return []
    start, stop = places[axis]
    # No variant is about a start after its stop: an index within the dimension may then stand for it.
    untrue = asked < size and max(start, stop) > shape[axis]
    if size != shape[axis] or untrue or asked not in (min(start, LARGEST), max(stop - 1, 0)):
        return rules.found(event.call, "error/fields", f"{words}: {error}")
    return []


def _display(program: Program, call: Call, event: Event) -> list[Finding]:
    """The words of each item are a subscript of Python: the item itself, where it can be one."""
    if event.outcome == REJECT:
        return rules.refused(event, "display")
    for item, words in zip(call.items, event.value, strict=True):
        if item.kind in (INTEGER, SELECT):
            wanted = str(item.a)
        else:
            # Unbounded ends stay empty, whatever the dimension.
            start, stop, step = (min(one, LARGEST) for one in bounds(item, -1))
            parts = [str(start) if start else "", "" if stop == -1 else str(stop)]
            wanted = ":".join([*parts, str(step)] if step != 1 else parts)
            if words.split(":")[0] == "0" and not start:
                wanted = "0" + wanted
        if words != wanted:
            form = "narrow" if item.kind == NARROW else "range"
            return rules.found("display", f"display/{form}", f"of {item} is {words!r}; Python's is {wanted!r}")
    return []


# -- values of the caller -------------------------------------------------------------------------------------


def _ended(event: Event, fault: str, words: str, overflow: bool) -> list[Finding] | None:
    """The finding of a call that ended wrongly; None where its value is to be looked at."""
    if event.outcome == ACCEPT:
        return rules.found(event.call, f"accepted/{fault}", f"takes {words}") if fault else None
    if fault:
        return []
    if overflow:
        return rules.as_own(
            [Finding(differential.RULES["refused"], f"Error while deserializing: {event.error}", words)]
        )
    return rules.refused(event, "value")


def _view(program: Program, call: Call, event: Event) -> list[Finding]:
    view = program.own[call.tensor % len(program.own)][1]
    words = f"{view.dtype} {view.shape} with {len(view.data)} bytes"
    ended = _ended(event, expectation.fault_of_view(view), words, expectation.overflows(view.dtype, view.shape))
    if ended is not None:
        return ended
    if event.value != [(view, len(view.data))] * 3:
        return rules.found("view", "value", f"of {words} tells {event.value!r:.200}")
    return []


def _metadata(program: Program, call: Call, event: Event) -> list[Finding]:
    fault = expectation.fault_of_infos(program.infos)
    if fault == "name/__metadata__":
        # Its defect is one of the writers, which write such a name.
        return []
    words = f"{program.infos!r:.200}"
    overflow = any(expectation.overflows(info.dtype, info.shape) for _, info in program.infos)
    ended = _ended(event, fault, words, overflow)
    if ended is not None:
        return ended
    header: Header = event.value
    if event.call == "header":
        rows = [Tensor(name, i.dtype, tuple(i.shape), i.begin, i.end) for name, i in program.infos]
        text = header.json.encode()
        raw = len(text).to_bytes(8, "little") + text
        judgement = judged(raw + bytes(max((row.end for row in rows), default=0)))
        if judgement.verdict != "accept":
            return [
                Finding(
                    rules.WRITTEN, f"serialize: {judgement.rule}/{judgement.aspect}", f"writes {header.json!r:.150}"
                )
            ]
    return _described(event.call, header, dict(program.infos), program.metadata)


def _fitted(program: Program, call: Call, event: Event) -> list[Finding]:
    """A text in a buffer: all of it, or as much as fits and an error."""
    if event.outcome == REJECT:
        # The call `metadata` tells whether these values are to be refused.
        return []
    given: Fitted = event.value
    text = given.text.encode()
    if given.whole != (len(text) <= call.room):
        end = "succeeds" if given.whole else "fails"
        return rules.found(event.call, "room", f"{end} with {len(text)} bytes in a buffer of {call.room}")
    if given.written != text[: call.room]:
        return rules.found(event.call, "text", f"leaves {given.written!r:.100} of {given.text!r:.100}")
    return []


def _past_limit(program: Program, call: Call, event: Event) -> list[Finding]:
    """A header of 100,000,000 bytes is written, and a longer one is not."""
    if event.outcome == ACCEPT:
        if call.room == LONGEST and event.value == HEADER_LIMIT:
            return []
        words = f"writes a header of {event.value:,} bytes for a value of {call.room:,}"
        return [Finding(rules.WRITTEN, "serialize: framing.header-limit", words)]
    if call.room == LONGEST:
        return rules.refused(event, "limit")
    if event.value.variant != "HeaderTooLarge":
        return rules.found(event.call, "error/limit", f"is refused with {event.value.variant}: {event.error[:100]}")
    return []


def _serialize(program: Program, call: Call, event: Event) -> list[Finding]:
    fault = expectation.fault_of_values(program.own)
    # No such folder, or a folder of that name.
    if event.call == "serialize_to_file" and call.place not in ("", "new.safetensors"):
        return rules.found(event.call, "accepted/place", f"writes to {call.place!r}") if event.outcome == ACCEPT else []
    if event.outcome == REJECT:
        overflow = any(expectation.overflows(view.dtype, view.shape) for _, view in program.own)
        return _ended(event, fault, f"{program.own!r:.200}", overflow) or []
    if fault:
        return [Finding(rules.WRITTEN, f"{event.call}: accepted/{fault}", f"{event.call} takes {program.own!r:.200}")]
    raw: bytes = event.value
    judgement = judged(raw)
    header = judgement.header
    if judgement.verdict != "accept" or header is None:
        words = f"{event.call} writes no valid file: {judgement.detail}"
        return [Finding(rules.WRITTEN, f"{event.call}: {judgement.rule}/{judgement.aspect}", words)]
    wanted = dict(program.own)
    read = {t.name: View(t.dtype, list(t.shape), bytes(header.payload(raw, t))) for t in header.tensors}
    if read != wanted:
        return [
            Finding(rules.WRITTEN, f"{event.call}: tensors", f"{event.call} writes {read!r:.150} for {wanted!r:.150}")
        ]
    if header.metadata != program.metadata:
        words = f"{event.call} writes metadata {header.metadata!r:.100} for {program.metadata!r:.100}"
        return [Finding(rules.WRITTEN, f"{event.call}: metadata", words)]
    return []


def _words(call: str, error: Refusal) -> list[Finding]:
    """An error whose words are empty, or leave out a number that it holds."""
    missing = [number for number in error.fields if str(number) not in str(error)]
    if missing or not str(error).strip():
        return rules.found(call, "error/words", f"is refused with {error.variant}, in the words {str(error)!r}")
    return []


# -- about ----------------------------------------------------------------------------------------------------


def _dtypes(program: Program, call: Call, event: Event) -> list[Finding]:
    if event.outcome == REJECT:
        return rules.refused(event, "dtypes")
    for one in event.value:
        bits = DTYPE_BITS[one.name]
        if one.words != one.name:
            return rules.found("dtypes", "words", f"of {one.name} are {one.words!r}")
        if one.bits != bits or one.size != bits // 8:
            return rules.found(
                "dtypes", "bits" if one.bits != bits else "size", f"of {one.name} is {one.bits} bits, {one.size}"
            )
    ordered = [DTYPE_BITS[one.name] for one in sorted(event.value, key=lambda one: one.rank)]
    # BOOL comes first; the rest follows by size.
    if ordered[1:] != sorted(ordered[1:]):
        return rules.found("dtypes", "rank", "are not in increasing order of alignment")
    return []


def _errors(program: Program, call: Call, event: Event) -> list[Finding]:
    for one in event.value if event.outcome == ACCEPT else ():
        if one.source != one.inner or one.inner not in one.words:
            return rules.found(
                "errors", "source", f"of {one.variant} is {one.source!r}, {one.words!r}, for {one.inner!r}"
            )
    return []


_CHECKS: dict[str, Callable[[Program, Call, Event], list[Finding]]] = {
    "deserialize": _deserialize, "read_metadata": _read_metadata, "tensor": _tensor, "slice": _slice, "slice_byte_ranges": _slice,
    "display": _display, "view": _view, "metadata": _metadata, "header": _metadata, "serialize": _serialize,
    "serialize_to_file": _serialize, "header_text": _header_text, "header_into": _fitted, "refusal_into": _fitted, "past_limit": _past_limit,
    "dtypes": _dtypes, "errors": _errors,
}  # fmt: skip
