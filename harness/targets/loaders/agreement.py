"""All entry points agree on one file: all of them read the same, or all of them refuse.

The oracle does not ask which one is right. A user must get the same tensors by every way of loading a file, or the same
refusal. Only a framework that lacks a dtype may refuse a tensor that another one reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule
from harness.findings.severity import STRICTNESS, WRONG_DATA
from harness.observation import NOT_READ, REJECT, Event, Reading
from harness.oracles.oracle import Execution, oracle

Difference = tuple[str, str]

AGREEMENT = Rule(
    "agreement.*",
    "agreement",
    "differential",
    WRONG_DATA,
    title="Two entry points disagree on one file",
    why="Two entry points read the same file in two ways, so one of the two is wrong.",
    should="both give the same, or the same refusal",
    check="agreement",
    cases=(Case("outcome:*", STRICTNESS), Case("tensor:*", STRICTNESS)),
)

ORDER = Rule(
    "get-tensors-order",
    "agreement",
    "differential",
    WRONG_DATA,
    title="get_tensors has another order than offset_keys",
    why="The documentation says in which order get_tensors goes through the tensors. The dictionary has another order.",
    sentence="Equivalent to iterating `offset_keys()` and calling `get_tensor` on each",
    should="the dictionary of get_tensors has the order of offset_keys",
)


@oracle(AGREEMENT, ORDER)
def check(execution: Execution) -> list[Finding]:
    """Where the entry points of a run (its ``events``) differ, by the first thing that does.

    Each is compared with the first that read the file, then with the first that read it in the same framework, which
    excuses less. The same mistake of several entry points is one finding.
    """
    events = [event for event in getattr(execution.observation[2], "events", ()) if event.about is not None]
    readers = [event for event in events if isinstance(event.value, Reading)]
    found: dict[Difference, Finding] = {}
    for event in readers:
        reading = event.value
        if not event.call.endswith(".get_tensors") or reading.offset_keys is None:
            continue
        given, wanted = _solid(reading, [name for name, _ in reading.tensors]), _order(reading)
        if given != wanted:
            words = f"{given!r:.100}, names by offset {wanted!r:.100}"
            found["order", event.call] = Finding(ORDER, event.call, f"{event.call} gives {words}")
    for event in events:
        same = [reader for reader in readers if reader.about is event.about]
        for other in (*readers[:1], *same[:1]):
            if other is event:
                break
            difference = _difference(other, event)
            if difference is not None:
                aspect, words = difference
                summary = f"{other.call} and {event.call} differ: {words}"
                found.setdefault(difference, Finding(AGREEMENT.member(f"{other.call}-{event.call}"), aspect, summary))
                break
    return list(found.values())


def _difference(other: Event, event: Event) -> Difference | None:
    """The difference between an entry point that read the file and another one, as an aspect and in words."""
    read: Reading = other.value
    if other.about is event.about:
        if isinstance(event.value, Reading):
            return compare(read, event.value)
        return None if read.partial else _outcome(event)
    # Another framework may read a tensor of a dtype that this one lacks. The contract oracle judges the exception that
    # this framework then raises.
    lacking = frozenset(name for name, held in read.tensors if not _can_hold(event.about, held))
    if isinstance(event.value, Reading):
        partial = event.value.partial or {}
        raised = {name for name, error in partial.items() if not error.startswith("SafetensorError")}
        return compare(read, event.value, lacking | raised)
    return None if lacking or read.partial or event.outcome != REJECT else _outcome(event)


def _can_hold(dtypes: frozenset[str], held: dict[str, Any]) -> bool:
    """Whether a framework that has these dtypes can hold such a tensor.

    Frameworks keep two F4 elements in one, along the last dimension ("f4_x2 dtype requires that the last dim be divisible by 2").
    """
    shape = held["shape"]
    return held["dtype"] in dtypes and (held["dtype"] != "F4" or (bool(shape) and shape[-1] % 2 == 0))


def _outcome(event: Event) -> Difference:
    return f"outcome:accept/{event.outcome}", f"one reads the file, the other says {event.error[:200]}"


def compare(mine: Reading, theirs: Reading, lacking: frozenset[str] = frozenset()) -> Difference | None:
    """The first difference between two readings of one file, as an aspect and in words; None where there is none.

    ``lacking`` names tensors that the second may refuse. Parts that only one of them gives (metadata, names by offset) are not compared.
    """
    held, other = dict(mine.tensors), dict(theirs.tensors)
    refused, also = mine.partial or {}, theirs.partial or {}
    names, more = {*held, *refused}, {*other, *also}
    if names != more or len(other) < len(theirs.tensors):
        return "names", f"names {sorted(names)!r:.100} and {sorted(more)!r:.100}"
    for name in (*refused, *also):
        if (name in refused) != (name in also) and name not in lacking:
            words = refused.get(name) or also[name]
            return "tensor:accept/refused", f"of tensor {name[:80]!r} one says {words[:200]}"
    for name, tensor in held.items():
        if name in other and (difference := _tensor(name, tensor, other[name])) is not None:
            return difference
    return _rest(mine, theirs)


def _tensor(name: str, mine: dict[str, Any], theirs: dict[str, Any]) -> Difference | None:
    for aspect in ("dtype", "shape", "data"):
        if mine[aspect] != theirs[aspect]:
            values = "" if aspect == "data" else f" {mine[aspect]} and {theirs[aspect]}"
            word = "bytes" if aspect == "data" else aspect
            return word, f"tensor {name[:80]!r} is read with two {word}s{values}"
    said = theirs.get("said")
    if said is not None and said != [theirs["dtype"], theirs["shape"]]:
        return (
            "about",
            f"get_dtype and get_shape of {name[:80]!r} say {said}, it is {theirs['dtype']} {theirs['shape']}",
        )
    return None


def _rest(mine: Reading, theirs: Reading) -> Difference | None:
    if NOT_READ not in (mine.metadata, theirs.metadata) and mine.metadata != theirs.metadata:
        return "metadata", f"metadata {mine.metadata!r:.100} and {theirs.metadata!r:.100}"
    if mine.offset_keys is None or theirs.offset_keys is None:
        return None
    if sorted(mine.offset_keys) != sorted(theirs.offset_keys) or _order(mine) != _order(theirs):
        return "offset-keys", f"names by offset {mine.offset_keys!r:.100} and {theirs.offset_keys!r:.100}"
    return None


def _order(reading: Reading) -> list[str]:
    """The names by offset, of tensors that have bytes: the others share their place, and may stand in any order."""
    return _solid(reading, reading.offset_keys or ())


def _solid(reading: Reading, names: Iterable[str]) -> list[str]:
    solid = {name for name, held in reading.tensors if held["data"]}
    return [name for name in names if name in solid]
