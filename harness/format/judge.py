"""The judge: accepts a file, rejects it with a rule, or finds it unspecified by the text of the format."""

from __future__ import annotations

from harness.format.fast import judge_plainly
from harness.format.features import FEATURES, features
from harness.format.framing import check_framing
from harness.format.judgement import Judgement, Verdict
from harness.format.rules import ASPECTS, RULES, UNSPECIFIED
from harness.format.strict import judge_strictly

__all__ = ["ASPECTS", "FEATURES", "RULES", "UNSPECIFIED", "Judgement", "Verdict", "features", "judge", "quick"]


def judge(data: bytes, size: int | None = None) -> Judgement:
    """Judges a file, strictly and in linear time. Never raises.

    With ``size``, the length of the file in bytes, ``data`` needs only the length prefix and the header.
    """
    if size is None:
        size = len(data)
    return judge_plainly(data, size) or judge_strictly(data, size)


def quick(data: bytes) -> str:
    """The cheap tier: the first rule broken in framing, UTF-8, first byte and padding, or "".

    ``judge`` rejects by the same rule.
    """
    refusal = check_framing(data, len(data))
    return "" if refusal is None else refusal.rule
