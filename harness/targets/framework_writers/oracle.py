"""A file holds the values that the framework itself reports of the tensors that were saved.

The framework says what a tensor holds: its own conversion gives dtype, shape and bytes. The judge says what the file holds. Some
rules have the names of other subjects: a defect that shows there, too, has one signature in both.
"""

from __future__ import annotations

from harness.findings.finding import Finding, normalise
from harness.findings.rule import Rule
from harness.findings.severity import SIDE_EFFECT, STRICTNESS, WRONG_DATA
from harness.format.dtypes import DTYPE_BITS
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.oracle import Execution, oracle
from harness.oracles.written import TEXTS, judged
from harness.targets.framework_writers.program import WRITES, Program

_SHOULD = "the file holds what the framework reports of each tensor, or the call is refused with a documented error"


def _rule(name: str, severity: str, title: str, why: str, sentence: str = "") -> Rule:
    return Rule(
        name,
        "framework_roundtrip",
        "roundtrip",
        severity,
        title=title,
        why=why,
        sentence=sentence,
        should=_SHOULD,
        check="values",
        cases=TEXTS,
    )


WRITTEN = _rule(
    "framework.written",
    WRONG_DATA,
    "A saver for a framework writes something else than it was given",
    "The file does not hold the values that the framework reports. No error says so.",
    "The incoming tensors. Tensors need to be contiguous and dense.",
)
BY_NUMPY = _rule(
    "roundtrip.written",
    WRONG_DATA,
    "A saver hands numpy's writer an array that it writes wrongly",
    "The saver of a framework gives its arrays to the writer for numpy. That writer must refuse what it cannot write.",
)
ARGUMENT = _rule(
    "resaved.argument",
    SIDE_EFFECT,
    "A saver for a framework changes its argument",
    "The saver changes the dictionary that the caller passed.",
)
REFUSED = _rule(
    "framework.refused",
    STRICTNESS,
    "A saver for a framework refuses what a file can hold",
    "A file can hold these tensors. The documentation names no reason to refuse them.",
)
READ = _rule(
    "framework.read",
    WRONG_DATA,
    "A loader for a framework gives something else than the file holds",
    "The file holds what was saved. The loader of the same module gives something else.",
)

#: Frameworks whose arrays go to the writer for numpy.
_THROUGH_NUMPY = ("flax", "tf", "mlx")


@oracle(WRITTEN, BY_NUMPY, ARGUMENT, REFUSED, READ)
def check(execution: Execution) -> list[Finding]:
    """The files and readings of a program, against what the framework reports."""
    trace = execution.trace
    if trace is None:
        return []
    found: list[Finding] = []
    right = False
    for event in trace.events:
        if event.about.call.kind in WRITES:
            more = _written(trace.program, event)
            right = event.outcome == ACCEPT and not any(one.rule in (WRITTEN, BY_NUMPY) for one in more)
            found += more
        elif right and event.outcome == ACCEPT:
            # Of a wrong file nothing need come back.
            found += _read(event)
    return found


def _written(program: Program, event: Event) -> list[Finding]:
    kind = event.about.call.kind
    found = []
    if not event.about.kept:
        found.append(Finding(ARGUMENT, f"{kind}: changed", f"{kind} changes the dictionary that it is given"))
    if event.outcome == REJECT and not program.odd and event.about.contiguous:
        words = f"{kind} refuses what a file can hold: {event.error[:200]}"
        found.append(Finding(REFUSED, f"{program.word}: {normalise(event.error)}", words))
    if event.outcome == ACCEPT:
        found += _wrong(program, event)
    return found


def _wrong(program: Program, event: Event) -> list[Finding]:
    """The first fault of a file."""
    writer = "numpy" if program.word in _THROUGH_NUMPY else "serialize"
    if program.odd.startswith("name/"):
        return [
            Finding(BY_NUMPY, f"{writer}: accepted/{program.odd}", "a file is made with a name that no file can hold")
        ]
    if program.odd == "value":
        # The annotation is no promise: numpy makes an array of a list, and the file holds that.
        return []
    wanted = event.about.reported
    # A framework may hold another dtype than the program names: jax narrows complex128.
    if program.odd and not (program.odd == "dtype" and all(held["dtype"] in DTYPE_BITS for held, _ in wanted.values())):
        return [
            Finding(
                WRITTEN,
                f"{program.word}: accepted/{program.odd}",
                f"a file is made of what no file can hold ({program.odd})",
            )
        ]
    raw = event.value
    judgement = judged(raw)
    if judgement.verdict == "reject" or judgement.header is None:
        words = f"what is written is no valid file: {judgement.detail}"
        return [Finding(WRITTEN, f"{program.word}: {judgement.rule}/{judgement.aspect}", words)]
    header = judgement.header
    if {tensor.name for tensor in header.tensors} != set(wanted):
        return [Finding(WRITTEN, f"{program.word}: names", f"names {list(wanted)!r:.200} are written otherwise")]
    if (header.metadata or {}) != (program.metadata.value or {}):
        return [Finding(WRITTEN, f"{program.word}: metadata", f"metadata is written as {header.metadata!r:.200}")]
    for tensor in header.tensors:
        held, word = wanted[tensor.name]
        here = tensor.dtype, list(tensor.shape), bytes(header.payload(raw, tensor))
        for aspect, was, now in zip(
            ("dtype", "shape", "bytes"), (held["dtype"], held["shape"], held["data"]), here, strict=True
        ):
            if was != now:
                item = program.items[program.last[tensor.name]]
                summary = f"a tensor of {item.dtype} ({item.source}) has {aspect} {was!r:.80}, the file has {now!r:.80}"
                if aspect == "bytes" and word:
                    return [Finding(BY_NUMPY, f"numpy: bytes/{word}", summary)]
                return [Finding(WRITTEN, f"{program.word}: {aspect}/{item.word}", summary)]
    return []


def _read(event: Event) -> list[Finding]:
    """The first fault of a reading. Another dtype is a matter of the loaders' targets."""
    kind, raw = event.about.call.kind, event.about.file
    header = judged(raw).header
    assert header is not None  # only of right files
    if {tensor.name for tensor in header.tensors} != set(event.value):
        return [Finding(READ, f"{kind}: names", f"{kind} gives the names {list(event.value)!r:.200}")]
    for tensor in header.tensors:
        held = event.value[tensor.name]
        if held["dtype"] != tensor.dtype:
            continue
        if held["shape"] != list(tensor.shape) or held["data"] != bytes(header.payload(raw, tensor)):
            words = f"{kind} gives {tensor.name[:40]!r} of {tensor.dtype} {list(tensor.shape)} with other values"
            return [Finding(READ, f"{kind}: values", words)]
    return []
