"""The kinds of findings as rules of a static analyser: a name, what it means, how bad it is by default."""

from __future__ import annotations

from dataclasses import dataclass

from harness.findings.severity import (
    DENIAL,
    LENIENCY,
    MEMORY_SAFETY,
    SIDE_EFFECT,
    STRICTNESS,
    WRONG_DATA,
    WRONG_EXCEPTION,
    severity,
)
from harness.format.rules import RULES


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule: its name in results, a sentence, more of it, the severity of most of its findings, words to filter by."""

    name: str
    short: str
    full: str
    severity: str
    tags: tuple[str, ...]


_ERRORS = "Whoever reads a file of unknown origin catches SafetensorError, the error that the library documents."
# By name: kind and aspect of a typical finding, a sentence, and what it means.
_NAMED: dict[str, tuple[str, str, str, str]] = {
    "panic": ("panic", "", "The parser panics", f"A PanicException is no Exception: it goes past every handler. {_ERRORS}"),
    "raise": ("contract", "", "An exception that is not the documented one", f"Another exception reaches the caller. {_ERRORS}"),
    "crash": ("crash", "SIGSEGV", "The process dies of a file", "Whoever can supply a file can stop the program that reads it, or worse."),
    "hang": ("hang", "", "Reading does not end", "Whoever can supply a file can stop the program that reads it."),
    "memory": ("memory", "", "Memory out of proportion to the file", "A small file makes the process ask for more memory than there is."),
    "refused": ("differential", "", "A valid file is refused", "Nothing in the text of the format forbids the file, and the parser refuses it."),
    "misread": ("differential", "", "A valid file is read as something else", "Names, dtypes, shapes, bytes or metadata are not those of the file."),
}  # fmt: skip
# By the word before the dot, likewise.
_FAMILIES: dict[str, tuple[str, str, str, str]] = {
    "metamorphic": ("differential", "", "The same content is read in two ways", "Two spellings of one content, or a file and what was written of it, read differently: one of the two is wrong."),
    "agreement": ("differential", "", "Two entry points disagree on one file", "The same file is not the same by every way of reading it: one of the two is wrong."),
    "resaved": ("roundtrip", "", "Loaded and saved again, it is something else", "What one entry point wrote of what another read is not what it was."),
    "roundtrip": ("roundtrip", "", "What is saved is not what comes back", "The file does not hold what was handed to the writer, and nobody is told."),
    "torch": ("roundtrip", "", "What torch saves is not what it loads", "Tensors or modules are not what they were after saving and loading, or the caller is told something else than is so."),
    "numpy": ("differential", "", "A slice is not numpy's slice", "A part of a tensor is not the part that numpy gives of the whole."),
    "parallel": ("differential", "", "The parts of a tensor are not the whole", "Ranks that split a tensor among them get something else than its parts."),
    "quantized": ("differential", "", "A quantised tensor is not what the file holds", "Packed or scaled dtypes are read otherwise than the header and the bytes say."),
    "shards": ("differential", "", "A sharded checkpoint is read otherwise than its index says", "The index says where each tensor is, and something else is read, or what is out of order is taken."),
    "lifecycle": ("differential", "", "A call does not fit the state of its handle and file", "After opening, closing, replacing or cutting, a call gives something else than the state says."),
    "device": ("differential", "", "A word for a device is not taken for what it is", "What names no device is accepted, or what the documentation names is refused."),
    "resources": ("memory", "", "The cost of a call is out of proportion", "Counted instructions or bytes grow faster than the file, or with what the call does not need."),
    "leaks": ("memory", "", "Each run leaves something behind", "A process that reads files for long enough runs out of descriptors, mappings or memory."),
    "time": ("time", "", "The time to read grows faster than the file", "Whoever can supply a file can keep the program that reads it busy."),
}  # fmt: skip
# GitHub's bands for what is tagged security: high from 7, medium from 4. Where no attacker gains by it, none is given.
_SCORES = {MEMORY_SAFETY: "8.5", DENIAL: "7.0", WRONG_DATA: "5.5", LENIENCY: "5.0"}
_LEVELS = {
    MEMORY_SAFETY: "error",
    DENIAL: "error",
    WRONG_DATA: "error",
    WRONG_EXCEPTION: "warning",
    SIDE_EFFECT: "warning",
    LENIENCY: "warning",
    STRICTNESS: "note",
}


def level(severe: str) -> str:
    """SARIF's word for a severity: error, warning or note."""
    return _LEVELS[severe]


def score(severe: str) -> str:
    """GitHub's ``security-severity`` of a severity; "" for what is no matter of security."""
    return _SCORES.get(severe, "")


def standing() -> list[str]:
    """Names of the rules that are always listed: those of the format, and what every target is judged by."""
    return [*_NAMED, *RULES]


def entry(name: str, kind: str = "differential") -> Entry:
    """The rule of findings whose signature has ``name`` (``kind`` decides where the name is of no family we know)."""
    if name in RULES:
        short = f"A file that breaks {name} is accepted"
        full = f'The text of the format: "{RULES[name]}". A parser that takes a file which breaks this sees another file in it than one that does not.'  # fmt: skip
        severe = severity("differential", name, "accepted")
        return Entry(name, short, full, severe, ("safetensors", "format", name.partition(".")[0]))
    family, _, rest = name.partition(".")
    known = _NAMED.get(name) or _FAMILIES.get(family)
    if known is None:
        return Entry(name, f"{kind}: {name}", f"A finding of kind {kind}, rule {name}.", severity(kind, name, ""), ("safetensors", kind))  # fmt: skip
    typical, aspect, short, full = known
    shown = f"{short} ({rest})" if rest else short
    return Entry(name, shown, full, severity(typical, name, aspect), ("safetensors", typical, family))
