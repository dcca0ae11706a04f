"""The rules of the format by name, each with its sentence of the text.

The text is the format section of upstream's README in the sdist of 0.8.0, quoted without its backquotes. Two sentences, on
the limit of the header and on overlaps, are from other sections.
"""

from __future__ import annotations

HEADER_LIMIT = 100_000_000
"""Largest header in bytes ("100MB")."""

U64_MAX = 2**64 - 1

RULES: dict[str, str] = {
    "framing.length": "8 bytes: N, an unsigned little-endian 64-bit integer, containing the size of the header",
    "framing.header-limit": "there's a limit on the size of the header of 100MB",
    "framing.header-truncated": "N bytes: a JSON UTF-8 string representing the header",
    "header.utf8": "a JSON UTF-8 string",
    "header.first-byte": "The header data MUST begin with a { character (0x7B)",
    "header.padding": "The header data MAY be trailing padded with whitespace (0x20)",
    "header.json": "a JSON UTF-8 string representing the header",
    "header.duplicate-key": "Duplicate keys are disallowed",
    "metadata.strings": "Arbitrary JSON is not allowed, all values must be strings",
    "tensor.fields": '{"dtype": "F16", "shape": [1, 16, 256], "data_offsets": [BEGIN, END]}',
    "tensor.dtype": '"dtype": "F16"',
    "tensor.shape": '"shape": [1, 16, 256]',
    "tensor.offsets": "BEGIN as the starting offset and END as the one-past offset",
    "tensor.size": "so total tensor byte size = END - BEGIN",
    "tensor.sub-byte": "Some smaller than 1 byte dtypes appeared, which make alignment tricky",
    "layout.hole": "The byte buffer needs to be entirely indexed, and cannot contain holes",
    "layout.overlap": "do not overlap in any way",
    "layout.trailing": "The byte buffer needs to be entirely indexed",
    "layout.truncated": "data_offsets point to the tensor data relative to the beginning of the byte buffer",
}
"""Rule to sentence, in the order of precedence: the judge reports the first broken rule."""

ASPECTS: dict[str, tuple[str, ...]] = {
    "framing.length": ("empty", "short"),
    "framing.header-limit": ("over",),
    "framing.header-truncated": ("short",),
    "header.utf8": ("surrogate", "malformed"),
    "header.first-byte": ("empty", "whitespace", "bom", "other"),
    "header.padding": ("newline", "tab", "carriage-return", "nul", "other"),
    "header.json": (
        "unexpected-end",
        "control-character",
        "bad-escape",
        "bad-number",
        "bad-literal",
        "bad-key",
        "bad-value",
        "trailing-comma",
        "separator",
        "trailing-data",
    ),
    "header.duplicate-key": ("tensor-name", "metadata", "metadata-key", "tensor-field", "extra-field", "nested"),
    "metadata.strings": ("null", "not-object", "value-not-string"),
    "tensor.fields": ("array-form", "null", "scalar", "missing"),
    "tensor.dtype": ("unknown", "not-string"),
    "tensor.shape": ("not-list", "not-integer", "negative"),
    "tensor.offsets": ("not-list", "not-integer", "negative", "not-pair", "beyond-u64", "reversed"),
    "tensor.size": ("overflow", "mismatch"),
    "tensor.sub-byte": ("partial",),
    "layout.hole": ("start", "middle"),
    "layout.overlap": ("same", "partial"),
    "layout.trailing": ("no-tensors", "after-last"),
    "layout.truncated": ("missing-bytes", "empty-tensor"),
    "unspecified.extra-field": ("tensor",),
    "unspecified.integer-form": ("shape", "offsets"),
    "unspecified.lone-surrogate": ("tensor-name", "metadata-key", "metadata-value"),
    "unspecified.huge-dimension": ("shape",),
    "unspecified.empty-tensor-offset": ("inside",),
}
"""The closed vocabulary of ``Judgement.aspect``, per rule, again in the order of precedence."""

UNSPECIFIED: dict[str, str] = {
    "extra-field": 'The header is a dict like {"TENSOR_NAME": {"dtype": "F16", "shape": [1, 16, 256], "data_offsets": ',
    "integer-form": "Anything obscure might be modified at a later time, that odd ways to represent integer",
    "lone-surrogate": "In general the subset of JSON is implicitly decided by serde_json for this library",
    "huge-dimension": "They are not storing any data in the databuffer, yet retaining size in the header",
    "empty-tensor-offset": "They are not storing any data in the databuffer",
}
"""Kind of unspecified case to the sentence that leaves it open."""

ORDER: dict[tuple[str, str], int] = {
    pair: rank for rank, pair in enumerate((rule, aspect) for rule, aspects in ASPECTS.items() for aspect in aspects)
}
"""Precedence of every (rule, aspect): the judge reports the least, in any order of the text."""
