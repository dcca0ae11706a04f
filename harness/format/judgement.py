"""The answer of the judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from harness.format.header import Header

Verdict = Literal["accept", "reject", "unspecified"]


class Explanation(NamedTuple):
    """A judgement for people: a sentence with values, and the range of bytes in the file to point at."""

    detail: str
    span: tuple[int, int] | None


SOUND = Explanation("", None)
"""Nothing to explain: the file is accepted."""


class _Fields(NamedTuple):
    verdict: Verdict
    rule: str
    aspect: str
    header: Header | None
    reason: Explanation | Callable[[], Explanation]


class Judgement(_Fields):
    """What the text of the format says about one file.

    ``rule`` is "" when accepted, a key of ``RULES`` when rejected, ``unspecified.<kind>`` when the text leaves it open;
    ``aspect`` is a word of ``ASPECTS[rule]``, the same for the same defect. ``header`` is there when accepted, and when
    what the text leaves open could still be read. ``detail`` and ``span`` are for people: most judgements work them out
    when asked, in another pass over the file. Two judgements are equal when all six agree.
    """

    __slots__ = ()

    def explain(self) -> Explanation:
        """``detail`` and ``span`` at once. Costs a pass over the header where it was judged the fast way."""
        return self.reason() if callable(self.reason) else self.reason

    @property
    def detail(self) -> str:
        """A sentence with values, "" when accepted."""
        return self.explain().detail

    @property
    def span(self) -> tuple[int, int] | None:
        """The range of bytes in the file to point at: first, and one past the last."""
        return self.explain().span

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Judgement):
            return NotImplemented
        return self[:4] == other[:4] and self.explain() == other.explain()

    def __hash__(self) -> int:
        return hash(self[:3])
