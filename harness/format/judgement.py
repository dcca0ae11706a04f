"""The judgement of a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from harness.format.header import Header

Verdict = Literal["accept", "reject", "unspecified"]


class Explanation(NamedTuple):
    """The explanation of a judgement: a sentence with values, and a range of bytes in the file."""

    detail: str
    span: tuple[int, int] | None


SOUND = Explanation("", None)
"""Nothing to explain: the file is accepted."""


class Problem(NamedTuple):
    """A broken rule or an unsettled point. ``at`` is the position of its top-level key, or -1.

    ``field`` is a member of that key's value. A known ``span`` takes the place of both.
    """

    rule: str
    aspect: str
    detail: str
    at: int = -1
    field: str = ""
    span: tuple[int, int] | None = None


class _Fields(NamedTuple):
    verdict: Verdict
    rule: str
    aspect: str
    header: Header | None
    reason: Explanation | Callable[[], Explanation]


class Judgement(_Fields):
    """The judgement of one file.

    ``rule`` is "" for accept, a key of ``RULES`` for reject, ``unspecified.<kind>`` for unspecified. ``aspect`` is a word of
    ``ASPECTS[rule]``. ``header`` is None for reject and for unreadable headers. ``detail`` and ``span`` explain the judgement;
    most are computed on demand. Two judgements are equal when all six agree.
    """

    __slots__ = ()

    def explain(self) -> Explanation:
        """``detail`` and ``span``. Costs a pass over the header after a fast judgement."""
        return self.reason() if callable(self.reason) else self.reason

    @property
    def detail(self) -> str:
        """A sentence with values, "" when accepted."""
        return self.explain().detail

    @property
    def span(self) -> tuple[int, int] | None:
        """The range of bytes of the fault: first, and one past the last."""
        return self.explain().span

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Judgement):
            return NotImplemented
        return self[:4] == other[:4] and self.explain() == other.explain()

    def __hash__(self) -> int:
        return hash(self[:3])
