"""The answer of the judge."""

from __future__ import annotations

from typing import Literal, NamedTuple

from harness.format.model import Header

Verdict = Literal["accept", "reject", "unspecified"]


class Judgement(NamedTuple):
    """What the text of the format says about one file.

    ``rule`` is "" when accepted, a key of ``RULES`` when rejected, ``unspecified.<kind>`` when the text leaves it open;
    ``aspect`` is a word of ``ASPECTS[rule]``, the same for the same defect. ``detail`` is a sentence with values.
    ``header`` is there when accepted, and when what the text leaves open could still be read. ``span`` is the range
    of bytes in the file to point at.
    """

    verdict: Verdict
    rule: str
    aspect: str
    detail: str
    header: Header | None
    span: tuple[int, int] | None
