from __future__ import annotations

from collections import Counter

from harness.engine.worker.tally import ACCEPTED, deep, refusal_key, stage


def test_depth_is_told_from_the_parsers_own_words() -> None:
    messages = {
        "Error while deserializing: header too small": "framing",
        "Error while deserializing header: invalid UTF-8 in header: invalid utf-8 sequence": "utf-8",
        "Error while deserializing: invalid JSON in header: missing field `dtype` at line 1": "json or fields",
        "Error while deserializing: invalid offset for tensor `a`": "layout or size",
    }
    assert {text: stage(refusal_key(text)) for text in messages} == messages
    counts = Counter(refusal_key(text) for text in messages) + Counter({ACCEPTED: 2})
    assert deep(counts) == 3
