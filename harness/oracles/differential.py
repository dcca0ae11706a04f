"""The parser against the independent judge, both ways.

Three defects can show: *accepted* although the format forbids it, *refused* although the format allows it, and
*misread*: accepted by both, with other names, dtypes, shapes, bytes, metadata or order.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.findings.finding import Finding, normalise
from harness.findings.rule import Case, Rule
from harness.findings.severity import LENIENCY, STRICTNESS, WRONG_DATA
from harness.format import rules as text
from harness.format.header import Header
from harness.format.judge import Judgement, features
from harness.observation import ACCEPT, NOT_READ, REJECT, Reading
from harness.oracles.oracle import Execution, oracle
from harness.parsers import api

_OFFSETS = "data_offsets point to the tensor data relative to the beginning of the byte buffer"
# The text that says what is misread, by aspect.
_MISREAD = {
    "names": 'The header is a dict like {"TENSOR_NAME": {...}, "NEXT_TENSOR_NAME": {...}, ...}',
    "dtype": 'The header is a dict like {"TENSOR_NAME": {"dtype": "F16", ...}',
    "shape": 'The header is a dict like {"TENSOR_NAME": {..., "shape": [1, 16, 256], ...}',
    "bytes": _OFFSETS,
    "metadata": "A special key __metadata__ is allowed to contain free form string-to-string map.",
    "offset-keys": _OFFSETS,
    "offset-order": _OFFSETS,
}


def format_rules(name: str) -> Mapping[str, Rule]:
    """The rules of the format for the oracle ``name``: one for each that a file can break, ``refused`` and ``misread``."""
    rules = {
        broken: Rule(
            broken,
            name,
            "differential",
            LENIENCY,
            title=f"A file that breaks {broken} is accepted",
            why="The text of the format forbids this file, and the parser accepts it. A stricter reader refuses it, or sees another file in it.",
            sentence=sentence,
            should=f"the file is refused: {sentence}",
            check="accepted",
        )
        for broken, sentence in text.RULES.items()
    }
    rules["refused"] = Rule(
        "refused",
        name,
        "differential",
        STRICTNESS,
        title="A valid file is refused",
        why="Nothing in the text of the format forbids this file, and the parser refuses it.",
        should="the file is read: the format allows it",
        check="refused",
    )
    rules["misread"] = Rule(
        "misread",
        name,
        "differential",
        WRONG_DATA,
        title="A valid file is read as something else",
        why="The file is valid. The parser reads other names, dtypes, shapes, bytes or metadata than it holds.",
        should="the parser reads what the file says",
        check="misread",
        cases=tuple(Case(aspect, sentence=sentence) for aspect, sentence in _MISREAD.items()),
    )
    return rules


RULES = format_rules("differential")
_REFUSED, _MISREADS = RULES["refused"], RULES["misread"]


def accepted(data: bytes, judgement: Judgement, reading: Reading) -> list[Finding]:
    """Findings of a run that the parser accepted."""
    if judgement.verdict == "reject":
        summary = f"accepted, but the format forbids it: {judgement.detail}"
        return [Finding(RULES[judgement.rule], f"accepted/{judgement.aspect}", summary)]
    if judgement.verdict == "unspecified" or judgement.header is None:
        return []
    return misread(data, judgement.header, reading)


def refused(data: bytes, judgement: Judgement, error: str) -> list[Finding]:
    """Findings of a run that the parser refused with its documented error. A release may lack a dtype."""
    if judgement.verdict != "accept" or judgement.header is None:
        return []
    if not api.loaded().knows(tensor.dtype for tensor in judgement.header.tensors):
        return []
    tags = "+".join(sorted(features(data, judgement)))
    message = normalise(error)
    summary = f"refused with {error[:200]!r}, but the format allows it ({tags or 'nothing unusual in it'})"
    return [Finding(_REFUSED, message, summary)]


def _same_tensors(data: bytes, header: Header, reading: Reading) -> bool:
    """Whether every tensor was read as the header says: the question of nearly every accepted run, asked quickly."""
    start = 8 + header.size
    theirs = dict(reading.tensors)
    for name, dtype, shape, begin, end in header.tensors:
        mine = theirs.get(name)
        if (
            mine is None
            or mine["dtype"] != dtype
            or mine["shape"] != [*shape]
            or mine["data"] != data[start + begin : start + end]
        ):
            return False
    return len(reading.tensors) == len(theirs) == len(header.tensors)


def misread(data: bytes, header: Header, reading: Reading) -> list[Finding]:
    """The differences between the readings of the parser and of the judge, of a file that both accept."""
    return _wrong_tensor(data, header, reading) or _wrong_rest(header, reading)


def _wrong_tensor(data: bytes, header: Header, reading: Reading) -> list[Finding]:
    if _same_tensors(data, header, reading):
        return []

    def found(aspect: str, summary: str) -> list[Finding]:
        return [Finding(_MISREADS, aspect, summary)]

    start = 8 + header.size
    theirs = dict(reading.tensors)
    partial = reading.partial or {}
    if len(theirs) != len(reading.tensors):
        return found("names", "the parser lists a tensor twice")
    if len(theirs) + len(partial) != len(header.tensors):
        return found(
            "names", f"the parser lists {len(theirs) + len(partial)} tensors, the file has {len(header.tensors)}"
        )
    for tensor in header.tensors:
        mine = theirs.get(tensor.name)
        if mine is None:
            if tensor.name in partial:
                continue
            return found("names", f"the parser does not list tensor {tensor.name[:80]!r}")
        if mine["dtype"] != tensor.dtype:
            return found("dtype", f"tensor {tensor.name[:80]!r} is {tensor.dtype}, read as {mine['dtype']}")
        if mine["shape"] != list(tensor.shape):
            return found("shape", f"tensor {tensor.name[:80]!r} is {list(tensor.shape)}, read as {mine['shape']}")
        if mine["data"] != data[start + tensor.begin : start + tensor.end]:
            return found("bytes", f"tensor {tensor.name[:80]!r} is read with other bytes than the file holds")
    return []


def _wrong_rest(header: Header, reading: Reading) -> list[Finding]:
    if reading.metadata is not NOT_READ and reading.metadata != header.metadata:
        summary = f"metadata is {header.metadata!r:.100}, read as {reading.metadata!r:.100}"
        return [Finding(_MISREADS, "metadata", summary)]
    return _order(header, reading.offset_keys)


def _order(header: Header, keys: list[str] | None) -> list[Finding]:
    """``offset_keys`` promises the names by offset; ties (empty tensors) may stand in any order."""
    if keys is None:
        return []
    begin = {tensor.name: (tensor.begin, tensor.end) for tensor in header.tensors}
    if sorted(keys) != sorted(begin):
        return [Finding(_MISREADS, "offset-keys", "offset_keys names other tensors")]
    places = [begin[key] for key in keys]
    if places != sorted(places):
        return [Finding(_MISREADS, "offset-order", "offset_keys is not by offset")]
    return []


@oracle(*RULES.values())
def check(execution: Execution) -> list[Finding]:
    """Both ways at once, for callers off the hot path.

    A run that opened a file and then failed on one of its tensors has read the others: they are compared all the same.
    """
    judgement, (outcome, error, value) = execution.judgement, execution.observation
    if judgement is None:
        return []
    if outcome == REJECT:
        return refused(execution.data, judgement, error)
    if outcome == ACCEPT:
        assert execution.target is not None
        return accepted(execution.data, judgement, execution.target.reading(value))
    return accepted(execution.data, judgement, value) if isinstance(value, Reading) else []
