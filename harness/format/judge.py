"""What the text of the format says about a file: accept, reject with a rule, or unspecified."""

from __future__ import annotations

from harness.format.fast import judge_plainly
from harness.format.features import FEATURES, features
from harness.format.framing import check_framing
from harness.format.judgement import Judgement, Verdict
from harness.format.rules import ASPECTS, RULES, UNSPECIFIED
from harness.format.strict import judge_strictly

__all__ = ["ASPECTS", "FEATURES", "RULES", "UNSPECIFIED", "Judgement", "Verdict", "features", "judge", "quick"]


def judge(data: bytes, size: int | None = None) -> Judgement:
    """Judges a whole file, strictly and in linear time. Never raises on any bytes.

    With ``size``, the length of the file in bytes, ``data`` need only hold its length prefix and header: the buffer
    is not looked into (so that sparse files of any size can be judged).
    """
    if size is None:
        size = len(data)
    return judge_plainly(data, size) or judge_strictly(data, size)


def quick(data: bytes) -> str:
    """The cheap tier: the first rule broken in framing, UTF-8, first byte and padding, or "".

    It never disagrees with ``judge``: what it names, ``judge`` rejects by the same rule.
    """
    refusal = check_framing(data, len(data))
    return "" if refusal is None else refusal.rule
