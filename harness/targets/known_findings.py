"""Known findings: filed in crashes/, or covered by a verdict rule.

A target may be built on another one. A finding of the lower target counts as known for the upper target too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from harness.errors import HarnessError
from harness.findings import crashes, defects, verdicts
from harness.findings.defects import Defect
from harness.findings.signature import parts
from harness.findings.store import Stored
from harness.parsers import registry
from harness.targets.registry import get_target


def known(signature: str) -> str | None:
    """The cover of a signature: the id of its folder in crashes/, ``verdict:NAME`` of a rule, or None.

    A loader is built on a reader that is a target of its own: the known findings of that reader are known for the loader, too.
    The same holds for a module that calls ``safetensors.numpy`` and converts its arrays.
    """
    crash = filed(signature)
    if crash is not None:
        return crash.id
    rule = verdict(signature)
    return None if rule is None else f"verdict:{rule.name}"


def missing(crash: crashes.Crash) -> str:
    """Why a filed finding cannot show here: the interpreter is too new, or a module is not installed; "" where it can."""
    return crash.cannot_show() or get_target(crash.target).missing(crash.data())


def is_open(signature: str) -> bool:
    """Whether a signature is filed as a defect that is still to be mended."""
    crash = filed(signature)
    return crash is not None and crash.status == crashes.OPEN


def filed(signature: str) -> crashes.Crash | None:
    """The folder of a signature; else that of the same defect in what its target is built on."""
    names = (signature, *in_readers(signature))
    return next(filter(None, map(crashes.find, names)), None)


def names_error(aspect: str) -> bool:
    """Whether the aspect of a finding tells its error. If not (``outcome:*``), another cause has the same signature."""
    return not aspect.startswith("outcome:")


def unmended(found: Iterable[Stored]) -> dict[str, str]:
    """Findings that show although the fix of their record was applied to the parser: the record's name by id."""
    owners: dict[str, Defect] | None = None
    shown: dict[str, str] = {}
    for stored in found:
        if (parser := registry.read(stored.parser)) is None or not parser.fixes:
            continue
        owners = defects.owners(defects.defects()) if owners is None else owners
        crash = filed(stored.signature)
        record = owners.get(crash.id) if crash is not None else None
        if record is not None and record.name in parser.fixes and names_error(stored.aspect):
            shown[stored.id] = record.name
    return shown


def verdict(signature: str) -> verdicts.VerdictRule | None:
    """The rule that covers a signature, or the same defect in what its target is built on."""
    names = (signature, *in_readers(signature))
    return next(filter(None, map(verdicts.match, names)), None)


def in_readers(signature: str) -> tuple[str, ...]:
    """The signatures of the same defect in what the target is built on; none where it is built on nothing."""
    found = parts(signature)
    below, calls, alike = _reader(found.target)
    call, _, words = found.aspect.partition(": ")
    # A target of one call names none in what it says; one with the same calls names the same.
    others = (f"{name}: {words}" for name in alike.get(call, ()))
    aspects = dict.fromkeys((words if call in calls else found.aspect, found.aspect, *others))
    return tuple(f"{name}|{found.kind}|{found.rule}|{aspect}" for name in below for aspect in aspects)


@functools.cache
def _reader(target: str) -> tuple[tuple[str, ...], tuple[str, ...], Mapping[str, tuple[str, ...]]]:
    """The targets that a target is built on, its own calls, and those by other names. Kept: a name that is none of ours asks all packages."""
    try:
        found = get_target(target)
    except HarnessError:  # a target of a package that is not installed
        return (), (), {}
    return found.built_on, found.calls, found.alike
