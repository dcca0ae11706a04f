"""Why a finding is wrong, in words, with the sentence of the text that speaks of it."""

from __future__ import annotations

from harness.finding import Finding
from harness.format.rules import RULES

_ERRORS = "Custom Python Exception for Safetensor errors."
_DOS = (
    "Prevent DOS attacks: We can craft the format in such a way that it's almost impossible to use malicious files to "
    "DOS attack a user."
)
_OFFSETS = "data_offsets point to the tensor data relative to the beginning of the byte buffer"
_SLICE = "A dummy object you can slice into to get a real tensor"
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


def account(finding: Finding) -> tuple[str, str]:
    """``(why, sentence)`` of a finding; the sentence is "" where no text settles it."""
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
    if finding.kind in ("panic", "contract"):
        what = "A panic" if finding.kind == "panic" else "An exception of another kind"
        why = (
            f"{what} reaches the caller. Whoever reads a file of unknown origin catches SafetensorError, the error the "
            "library documents for files it cannot read; this goes past that."
        )
        return why, _ERRORS
    if finding.kind in ("crash", "hang", "memory", "time"):
        what = {
            "crash": "Reading the file kills the process",
            "hang": "Reading the file does not end",
            "memory": "Reading the file takes memory out of all proportion to it",
            "time": "The time to read the file grows faster than the file",
        }[finding.kind]
        return f"{what}: whoever can supply a file can stop the program that reads it.", _DOS
    if finding.rule == "misread":
        return f"The file is valid, and the parser reads something else than it says: {finding.summary}", _MISREAD.get(finding.aspect, "")  # fmt: skip
    if finding.rule == "refused":
        return f"Nothing in the text of the format forbids this file, and it is refused. {finding.summary}", ""
    if finding.kind == "roundtrip":
        return "What was read and written again does not read the same.", ""
    sentence = RULES.get(finding.rule, "")
    detail = finding.summary.rpartition("forbids it: ")[2]
    return f"The text of the format forbids this file, and it is accepted: {detail}.", sentence
