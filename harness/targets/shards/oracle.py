"""A sharded checkpoint is what its index says of its files: each tensor from the file that is named for it, and no other file.

The right answer follows from how the folder was made. Findings of rule ``hub.*`` are about huggingface_hub, not the parser.
"""

from __future__ import annotations

from typing import Any

from harness.findings.finding import Finding
from harness.findings.rule import Case, Rule
from harness.findings.severity import LENIENCY, STRICTNESS, WRONG_DATA
from harness.observation import ACCEPT, REJECT, Event
from harness.oracles.compare import differs
from harness.oracles.oracle import Execution, oracle
from harness.programs import arrays
from harness.targets.shards.program import ESCAPES, OUTSIDE_TENSORS, Program

_LEADS_OUT = f"path: {ESCAPES}"

_SHOULD = "each tensor comes from the file that the index names, and a folder that is out of order is refused"
_WHY = "The index says where each tensor is. The reader gives something else, or takes a folder that is out of order."
_ACCEPTED = (Case("accepted*", LENIENCY),)


def _rule(name: str, severity: str, title: str, why: str, check: str = "values") -> Rule:
    return Rule(name, "shards", "differential", severity, title, why, should=_SHOULD, check=check, cases=_ACCEPTED)


READ = _rule("shards.safe_open", WRONG_DATA, "A sharded checkpoint is read otherwise than its index says", _WHY)
REFUSED = _rule(
    "refused",
    STRICTNESS,
    "A sharded checkpoint in order is refused",
    "Nothing is wrong with the folder, and the parser refuses one of its files.",
    "refused-call",
)
HUB_METADATA = _rule("hub.metadata", WRONG_DATA, "huggingface_hub reads the headers of shards otherwise", _WHY)
HUB_LOAD = _rule("hub.load", WRONG_DATA, "huggingface_hub loads shards otherwise than their index says", _WHY)
HUB_REFUSED = _rule(
    "hub.refused",
    STRICTNESS,
    "huggingface_hub refuses a sharded checkpoint in order",
    "Nothing is wrong with the folder, and the reader refuses it.",
)


@oracle(READ, REFUSED, HUB_METADATA, HUB_LOAD, HUB_REFUSED)
def check(execution: Execution) -> list[Finding]:
    """The readings of a folder by the readers of target ``shards``, against the program that made it."""
    trace = execution.trace
    if trace is None:
        return []
    checks = {"safe_open": _safe_open, "hub.metadata": _metadata, "hub.load": _loaded}
    return [found for event in trace.events for found in checks[event.call](trace.program, event)]


def _found(rule: Rule, aspect: str, summary: str) -> list[Finding]:
    return [Finding(rule, aspect, summary)]


def _refused(program: Program, event: Event, rule: Rule) -> list[Finding]:
    if event.outcome == REJECT and not program.wrong:
        return _found(
            rule, event.call, f"{event.call}: nothing is wrong with the folder, and it is refused: {event.error}"
        )
    return []


def _tensors(program: Program, event: Event, rule: Rule) -> list[Finding]:
    """Every tensor that is to come, from the shard that the index names."""
    for name, (dtype, shape, salt) in program.wanted.items():
        if name not in event.value:
            return _found(rule, "names", f"{event.call} gave {sorted(event.value)!r:.100}, without {name[:40]!r}")
        for aspect, words in differs(event.value[name], arrays.array(dtype, shape, salt)):
            return _found(rule, aspect, f"{event.call}: {name[:40]!r} {words}")
    return []


def _safe_open(program: Program, event: Event) -> list[Finding]:
    if event.outcome != ACCEPT:
        return _refused(program, event, REFUSED)
    if program.wrong:
        return _found(READ, f"accepted/{program.wrong}", f"{event.about}: {program.wrong}, and it is read")
    return _tensors(program, event, READ)


def _metadata(program: Program, event: Event) -> list[Finding]:
    """Headers alone are read: a reader may miss faults of the buffers or of names."""
    if event.outcome != ACCEPT:
        return _refused(program, event, HUB_REFUSED)
    seen: dict[str, Any] = {
        name: one for file in event.value.files_metadata.values() for name, one in file.tensors.items()
    }
    if program.wrong == _LEADS_OUT and OUTSIDE_TENSORS[0][0] in seen:
        return _found(HUB_METADATA, f"accepted/{program.wrong}", "an index that leads out of its folder is followed")
    if program.wrong:
        return []
    if dict(event.value.weight_map) != dict(program.weights):
        return _found(HUB_METADATA, "weight-map", f"weight_map is given as {event.value.weight_map!r:.200}")
    for name, shard in program.weights:
        dtype, shape, _ = program.wanted[name]
        told = event.value.files_metadata[shard].tensors[name]
        if (told.dtype, list(told.shape)) != (dtype, list(shape)):
            return _found(HUB_METADATA, "tensor", f"{name[:40]!r} is {dtype} {list(shape)}, told as {told!r:.100}")
    return []


def _loaded(program: Program, event: Event) -> list[Finding]:
    """Tensors that a model lacks, or that no shard holds, are reported by the loader's value, and are no error."""
    if event.outcome != ACCEPT:
        return _refused(program, event, HUB_REFUSED)
    if program.wrong == "index: no index":
        # A folder with a single file is a checkpoint without an index.
        return []
    if program.wrong.startswith(("index: ", "path: ", "shard: ")):
        return _found(HUB_LOAD, f"accepted/{program.wrong}", f"{program.wrong}, and it is loaded")
    return _tensors(program, event, HUB_LOAD)
