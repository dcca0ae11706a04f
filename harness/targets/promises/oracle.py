"""Promises beyond validity: the layout of written files, and the manners of public objects.

A file may be valid and still break a promise: readers cast aligned bytes, caches compare files, workers pickle classes. Each
rule quotes its promise: a text, a test of upstream, or the reference of Python.
"""

from __future__ import annotations

from harness.findings.finding import Finding
from harness.findings.rule import Rule
from harness.findings.severity import SIDE_EFFECT, WRONG_DATA, WRONG_EXCEPTION
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.oracle import Execution, oracle
from harness.targets.promises.program import Call


def _rule(
    name: str, severity: str, title: str, why: str, sentence: str, should: str, kind: str = "differential"
) -> Rule:
    return Rule(
        f"promises.{name}", "promises", kind, severity, title=title, why=why, sentence=sentence, should=should,
        check="values",
    )  # fmt: skip


_ALIGNED = "Force alignment to 8 bytes. (safetensors/src/tensor.rs; test_serialization_forces_alignment: `% 8, 0`)"
_SORTED = "Make sure we're sorting by descending dtype alignment. Then by name. (safetensors/src/tensor.rs)"
HEADER = _rule(
    "header", SIDE_EFFECT, "The data of a written file begins at an unaligned byte",
    "Readers that map the file cast its bytes in place. Unaligned data is slow or impossible to cast.",
    _ALIGNED, "the data begins at a multiple of 8 bytes", "roundtrip",
)  # fmt: skip
ELEMENTS = _rule(
    "elements", SIDE_EFFECT, "The elements of a written tensor are not aligned",
    "Readers that map the file cast the bytes of a tensor in place. Unaligned elements are slow or impossible to cast.",
    "All the 32 are forcing alignement of the tensor data for casting to f32, f64 etc.. (test_serialization_forced_alignement)",
    "each tensor begins at a multiple of the size of its elements", "roundtrip",
)  # fmt: skip
ORDER = _rule(
    "order", SIDE_EFFECT, "The tensors of a written file stand in another order",
    "The order keeps elements aligned, and equal content gives equal files.",
    _SORTED, "large elements come first, and tensors of one dtype come by name", "roundtrip",
)  # fmt: skip
SPELLING = _rule(
    "spelling", SIDE_EFFECT, "The header of a written file is spelt in another way",
    "Equal content gives equal bytes only with one spelling. Hashes and caches compare files.",
    "test_serialization, test_serialization_metadata and test_empty compare whole files byte by byte.",
    "the header is compact JSON with the metadata first and fewer than 8 spaces at its end", "roundtrip",
)  # fmt: skip
AGAIN = _rule(
    "again", SIDE_EFFECT, "The same call gives other bytes the next time",
    "Equal content gives other bytes. Hashes of files, caches and reproducible builds see a change where there is none.",
    "test_serialization compares the whole file byte by byte.", "the same call gives the same bytes", "roundtrip",
)  # fmt: skip
INSERTION = _rule(
    "insertion", SIDE_EFFECT, "The order of insertion changes the file",
    "Equal dictionaries give other bytes. Hashes of files, caches and reproducible builds see a change where there is none.",
    "test_serialization_order_invariant: self.assertEqual(out1, out2)",
    "dictionaries with equal content give equal bytes, whatever their order", "roundtrip",
)  # fmt: skip
WRITER = _rule(
    "writer", SIDE_EFFECT, "Two writers give other bytes for the same content",
    "One content has two files, so hashes and caches see a change where there is none.",
    "test_serialization holds save and save_file against the same bytes.",
    "save, save_file, serialize and serialize_file give the same bytes", "roundtrip",
)  # fmt: skip
NAME = _rule(
    "name", WRONG_EXCEPTION, "A public object is not found by its module and name",
    "Pickle finds classes and functions by module and name. So worker processes cannot get this object.",
    "test_safetensor_error_module_is_importable: importlib.import_module(SafetensorError.__module__). "
    "Python, pickle: classes accessible from the top level of a module can be pickled.",
    "pickle gives the same object back",
)  # fmt: skip
COPY = _rule(
    "copy", WRONG_DATA, "A copy of a public object is another value",
    "A copy differs from its original, or copying fails with an error that Python does not document for it.",
    "Python, copy: objects that cannot be copied raise TypeError by way of pickle; all others compare equal.",
    "a copy is equal, or is refused with TypeError where the object holds a file or memory",
)  # fmt: skip
ASK = _rule(
    "ask", WRONG_EXCEPTION, "A public object gives no valid answer to a built-in function",
    "Debuggers, logs, sets and tests ask these questions of any object.",
    "Python, data model: repr and str return strings, equal objects have the same hash value, dir lists valid attributes.",
    "repr, str, hash, bool, comparison and dir work",
)  # fmt: skip
LENGTH = _rule(
    "len", WRONG_DATA, "The length of a public object is wrong",
    "Callers that ask for the length get another number than there are rows or names.",
    "Python, len: Return the length (the number of items) of an object.",
    "len gives the number of items, or TypeError where an object has no length",
)  # fmt: skip
ITERATE = _rule(
    "iterate", WRONG_EXCEPTION, "Iteration does not end as Python demands",
    "A for loop over the object never ends, ends early, or ends with an exception after the last item.",
    "Python, __getitem__: for loops expect that an IndexError will be raised for illegal indexes to allow proper detection "
    "of the end of the sequence.",
    "iteration ends after the last item, or the object is not iterable",
)  # fmt: skip
WITH = _rule(
    "with", WRONG_DATA, "A with statement over a file breaks its promise",
    "The statement hides an exception, leaves the file open, or gives another object.",
    "Start the context manager. Exits the context manager. (type stub; test_get_correctly_dropped: a file is closed after it)",
    "the statement gives the file, passes exceptions on, and closes the file",
)  # fmt: skip
TYPE = _rule(
    "type", SIDE_EFFECT, "A value is of another type than documented",
    "The documentation names the type. Code that is checked against the type stub fails when it runs.",
    "Returns: (`List[str]`): The name of the tensors contained in that file",
    "values have the types of the documentation",
)  # fmt: skip
SPEC = _rule(
    "spec", WRONG_DATA, "A TensorSpec tells other values than it was given",
    "The attributes of a spec differ from the arguments of its constructor.",
    "the constructor transparently doubles the last dimension so `spec.shape` always reflects the logical element count.",
    "the attributes are the arguments, with the format's word for the dtype and the logical shape",
)  # fmt: skip
STUB = _rule(
    "stub", SIDE_EFFECT, "The type stub and the module differ",
    "Type checkers accept code that fails when it runs, or refuse code that would work.",
    "The content of {filename} seems outdated, please run `python stub.py` (stub.py)",
    "names, kinds, bases and arguments are those of the type stub",
)  # fmt: skip
RULES = {
    one.name.partition(".")[2]: one
    for one in (
        HEADER, ELEMENTS, ORDER, SPELLING, AGAIN, INSERTION, WRITER, NAME, COPY, ASK, LENGTH, ITERATE, WITH, TYPE, SPEC, STUB,
    )
}  # fmt: skip


@oracle(*RULES.values())
def check(execution: Execution) -> list[Finding]:
    """The answers of a program of target ``promises``, against the right answers."""
    trace = execution.trace
    if trace is None:
        return []
    return [found for event in trace.events for found in _check(event)]


def _check(event: Event) -> list[Finding]:
    call: Call = event.about
    if event.outcome == REJECT:
        answer = "SafetensorError"
    elif event.outcome == ACCEPT:
        if repr(event.value) in call.right:
            return []
        answer = event.value if isinstance(event.value, str) else ""
    else:
        return []  # the oracle contract reports it
    aspect = ": ".join(filter(None, (call.about, answer)))
    given = event.error if event.outcome == REJECT else repr(event.value)
    words = f"{call.source} gives {given:.120}, should give {' or '.join(call.right)}"
    return [Finding(RULES[call.kind], aspect or "other", words)]
