"""Why a finding is wrong, in words, with the sentence of the text that speaks of it."""

from __future__ import annotations

from harness.findings.finding import Finding
from harness.format.rules import RULES

_ERRORS = "Custom Python Exception for Safetensor errors."
_DOS = (
    "Prevent DOS attacks: We can craft the format in such a way that it's almost impossible to use malicious files to "
    "DOS attack a user."
)
_OFFSETS = "data_offsets point to the tensor data relative to the beginning of the byte buffer"
_SLICE = "A dummy object you can slice into to get a real tensor"
_DENSE = "Tensors need to be contiguous and dense."
# How the calls that write begin, and what the oracle ``roundtrip`` calls an address that they stumble over.
_WRITERS = ("save", "serialize", "null-pointer")
# Of the oracle ``roundtrip``, by rule.
_ROUNDTRIP = {
    "written": "{}. The file does not hold what was handed over, or is none, and nobody is told: what cannot be written must be refused.",
    "unstable": "The same content gives another file each time: hashes of files, caches and reproducible builds see a change where there is none.",
    "mode": "{}. It began as a temporary file, which its owner alone may read, whatever the umask or the old file said: other users are locked out.",
    "refused": "A file can hold this, and the documentation names no reason to refuse it: {}.",
    "unread": "The library's own reader refuses what its writer wrote: {}.",
    "left-over": "A temporary file stays behind: {}.",
}  # fmt: skip
# Of the oracle ``torch_roundtrip``, by rule; others have the words of the above.
_TORCH = {
    "loaded": "A module does not hold what was loaded onto it: {}.",
    "answer": "The caller is told something else than is so, or than the documentation says: {}.",
    "changed": "A value of the caller's is changed, which the next call gets as it is now: {}.",
    "twice": "What was read before has a part in what is read: {}.",
}
_ANSWER = "`(missing, unexpected): (List[str], List[str])`"
_DEVICE = "The device where the tensors need to be located after load. available options are all regular torch device locations."
_MISREAD = {
    "names": 'The header is a dict like {"TENSOR_NAME": {...}, "NEXT_TENSOR_NAME": {...}, ...}',
    "dtype": 'The header is a dict like {"TENSOR_NAME": {"dtype": "F16", ...}',
    "shape": 'The header is a dict like {"TENSOR_NAME": {..., "shape": [1, 16, 256], ...}',
    "bytes": _OFFSETS,
    "metadata": "A special key __metadata__ is allowed to contain free form string-to-string map.",
    "offset-keys": _OFFSETS,
    "offset-order": _OFFSETS,
}


_LIFECYCLE = {
    "lifecycle.open": "That a file cannot be opened is told as another error than it is, so that callers take the wrong way out",
    "lifecycle.open_file": (
        "A handle that is made from an open file object reads not that file, but whatever bears its name by now"
    ),
    "lifecycle.cut": "A file lost its end while it was mapped, and zeros are given in place of what is gone",
}


def account(finding: Finding) -> tuple[str, str]:
    """``(why, sentence)`` of a finding; the sentence is "" where no text settles it."""
    if finding.rule == "metamorphic.serialized-again":
        return "The library refuses, or reads otherwise, what it wrote itself of what it read itself.", ""
    if finding.rule.startswith("metamorphic."):
        relation = finding.rule.removeprefix("metamorphic.").replace("-", " ")
        why = f"The same content is read in two ways, depending on {relation}: the parser contradicts itself, so one of the two is wrong."  # fmt: skip
        return why, ""
    if finding.oracle == "device":
        return f"A word for a device is not taken for what it is: {finding.summary}.", _DEVICE
    if finding.oracle == "agreement":
        return (
            f"The same file is not the same by every way of reading it, so one of the two is wrong: {finding.summary}.",
            "",
        )
    if finding.oracle == "resaved":
        return f"What was loaded and saved again is not what it was: {finding.summary}.", ""
    if finding.oracle == "numpy":
        return f"A part of a tensor is not the part that numpy gives of the whole: {finding.summary}.", _SLICE
    if finding.oracle == "parallel":
        what = (
            "A part that lies within the tensor is refused"
            if finding.rule == "refused"
            else "The parts are not the whole"
        )
        return f"{what}: {finding.summary}. Ranks that split a tensor among them take such parts.", _SLICE
    if finding.oracle == "shards":
        return f"The index says where each tensor is, and something else is read: {finding.summary}.", ""
    if finding.oracle == "quantized":
        return f"What a quantised checkpoint holds is not what is read of it: {finding.summary}.", _OFFSETS
    if finding.oracle in ("roundtrip", "torch_roundtrip"):
        return _roundtrip(finding)
    if finding.oracle == "lifecycle":
        cause = _LIFECYCLE.get(finding.rule, "A call does not give what the state of its handle and its file says")
        return f"{cause}: {finding.summary}.", ""
    if finding.kind == "crash" and finding.aspect.startswith("SIGBUS/"):
        return "A file that loses its end while it is mapped kills the process that reads it.", ""
    if finding.kind in ("panic", "contract"):
        what = "A panic" if finding.kind == "panic" else "An exception of another kind"
        why = (
            f"{what} reaches the caller. Whoever reads a file of unknown origin catches SafetensorError, the error the "
            "library documents for files it cannot read; this goes past that."
        )
        return why, _ERRORS
    if finding.rule.startswith("leaks."):
        what = finding.rule.removeprefix("leaks.")
        short = what if what in ("descriptors", "mappings") else "memory"
        why = f"Each time the file is read, {what} stay behind: a process that reads files for long enough runs out of {short}."
        return why, _DOS
    if finding.rule.startswith("resources."):
        call = finding.rule.removeprefix("resources.")
        why = {
            "unrelated": "A call that needs little of a file costs as much as what it does not need, which whoever made the file chose.",
            "superlinear": "The cost grows faster than the file: a file of ten times the size costs far more than ten times as much.",
            "multiple": "The call holds many times the memory of what it reads and gives.",
        }.get(finding.aspect.partition("/")[2], "The cost is out of proportion.")
        return f"{why} Seen in {call}; counted, not timed.", _DOS
    if finding.kind in ("crash", "hang", "memory", "time"):
        return _deadly(finding)
    if finding.rule == "misread":
        return f"The file is valid, and the parser reads something else than it says: {finding.summary}", _MISREAD.get(finding.aspect, "")  # fmt: skip
    if finding.rule == "refused":
        return f"Nothing in the text of the format forbids this file, and it is refused. {finding.summary}", ""
    if finding.kind == "roundtrip":
        return "What was read and written again does not read the same.", ""
    sentence = RULES.get(finding.rule, "")
    detail = finding.summary.rpartition("forbids it: ")[2]
    return f"The text of the format forbids this file, and it is accepted: {detail}.", sentence


def _deadly(finding: Finding) -> tuple[str, str]:
    """Of what stops a process: a file that is read, or what a program hands to a writer."""
    what = {
        "crash": "kills the process",
        "hang": "does not end",
        "memory": "takes memory out of all proportion to it",
        "time": "takes time that grows faster than the file",
    }[finding.kind]
    # Of a program the aspect says at which call it was, of a file what the judge says of it.
    if finding.aspect.partition("/")[2].startswith(_WRITERS):
        return f"Writing what was handed over {what}: a program that saves what it was given stops there.", ""
    return f"Reading the file {what}: whoever can supply a file can stop the program that reads it.", _DOS


def _roundtrip(finding: Finding) -> tuple[str, str]:
    rule = finding.rule.partition(".")[2]
    why = (_ROUNDTRIP | _TORCH).get(rule, "What is saved is not what comes back: {}.")
    _, _, what = finding.aspect.partition(": ")
    if finding.aspect.startswith("types: "):
        sentence = _ANSWER
    elif what.startswith("bytes/"):
        sentence = _DENSE
    elif "__metadata__" in what:
        sentence = _MISREAD["metadata"]
    else:
        sentence = RULES.get(what.partition("/")[0], "")
    return why.format(finding.summary), sentence
