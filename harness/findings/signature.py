"""One name for one defect.

A signature is ``target|kind|rule|aspect``. Oracles put nothing of the input (no numbers, names or positions) into rule
and aspect. So two inputs that trip over the same defect have the same signature.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_NOT_SLUG = re.compile(r"[^a-z0-9.]+")


@dataclass(frozen=True, slots=True)
class Parts:
    """A signature taken apart, for example ``deserialize|differential|header.duplicate-key|accepted/tensor-name``.

    ``aspect`` may itself hold a ``|``. Its :class:`str` is the signature.
    """

    target: str
    kind: str
    rule: str
    aspect: str

    def __str__(self) -> str:
        return f"{self.target}|{self.kind}|{self.rule}|{self.aspect}"


def parts(sig: str) -> Parts:
    """The parts of ``sig``. Raises ValueError when it is not a signature."""
    fields = sig.split("|", 3)
    if len(fields) != 4:
        raise ValueError(f"not a signature (target|kind|rule|aspect): {sig!r}")
    return Parts(*fields)


def finding_id(sig: str) -> str:
    """The name of a finding's folder: its rule, or its kind, and eight hex digits of the signature's SHA-1."""
    found = parts(sig)
    slug = _NOT_SLUG.sub("-", (found.rule or found.kind).lower()).strip("-.")[:40] or "finding"
    return f"{slug}-{hashlib.sha1(sig.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
