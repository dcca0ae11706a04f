"""The kinds of tasks on a store beside fuzzing: prune a corpus, minimise a finding, replay inputs for coverage.

A task may run twice, also at the same time: it says the same thing twice, or changes nothing the second time.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.coverage import shared
from harness.coverage.batches import Replayed
from harness.coverage.replay import profiles, replay
from harness.errors import HarnessError
from harness.findings.finding import Finding
from harness.parsers.registry import Parser
from harness.store import records
from harness.store.objects import Objects
from harness.store.shared_corpus import SharedCorpus
from harness.targets.registry import get_target
from harness.triage import filing

# Most bytes of the profiles of one target, unpacked, and most of them.
_PROFILES_SIZE, _PROFILES = 64 << 20, 1000


@dataclass(frozen=True)
class Place:
    """The store that a task works on.

    ``parser`` runs the inputs, ``campaign`` is the content hash of the campaign's parser, and ``host`` names this machine.
    """

    objects: Objects
    parser: Parser
    campaign: str
    host: str


def prune(place: Place, target: str) -> dict[str, Any]:
    """Delete inputs of ``target`` that reach nothing the others do not. Returns the fields of :class:`upkeep.Change`."""
    return dataclasses.asdict(shared.prune(place.objects, target, place.parser, place.host))


def minimize(place: Place, name: str) -> dict[str, Any]:
    """Store a smaller input of the finding ``name``, where there is one.

    Returns ``id``, ``target``, ``before`` and ``after`` in bytes, and ``note``, why it is no smaller, or "". Raises HarnessError
    without such a finding.
    """
    found = next(records.get_findings(place.objects, {}, {name}), None)
    if found is None:
        raise HarnessError(f"the store {place.objects.address} has no finding {name}", hint="leave --id out for all")
    about, data = found
    finding = Finding.of_signature(about["signature"], about["oracle"], about["summary"])
    small, summary, note = _smaller(finding, data, place.parser)
    if len(small) < len(data):
        records.put_finding(place.objects, about | {"summary": summary, "size": len(small)}, small)
    return {"id": name, "target": finding.target, "before": len(data), "after": len(small), "note": note}


def _smaller(finding: Finding, data: bytes, parser: Parser) -> tuple[bytes, str, str]:
    """The smallest input found that shows the finding in a fresh process, its summary, and a note."""
    target, sig = finding.target, finding.signature
    shown = filing.repeated(target, sig, data, parser)
    if not shown:
        return data, finding.summary, "it does not show again"
    try:
        small = filing.smallest(shown[0].parser, target, sig, data)
    except HarnessError as error:
        # It showed in fresh processes, and not in one that has run before.
        return data, finding.summary, str(error)
    if len(small) == len(data):
        return data, finding.summary, ""
    again = filing.shows(target, sig, small, [shown[0].parser])
    if not again:
        return data, finding.summary, "the smaller input does not show it in a fresh process"
    return small, again[0].judged.finding.summary, ""


def coverage(place: Place, target: str) -> dict[str, Any]:
    """Replay the inputs of ``target`` on the coverage build ``place.parser``.

    Returns ``target``, ``executed``, ``deaths`` as ``[index, exit reason]``, and ``profiles``, those of LLVM in an archive.
    Raises HarnessError for a target that does not run the parser, and where it has no inputs.
    """
    if not get_target(target).uses_parser:
        raise HarnessError(f"target {target} does not run the parser", hint="choose another target")
    corpus = SharedCorpus(place.objects, target, place.campaign)
    inputs = [data for _, data in sorted(corpus.fetch(sorted(corpus.whole(place.host))))]
    if not inputs:
        raise HarnessError(f"the store has no inputs of {target}", hint="name another --target")
    with tempfile.TemporaryDirectory(prefix="harness-coverage-") as folder:
        done = replay(place.parser, target, inputs, Path(folder))
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:xz") as archive:
            for path in profiles(Path(folder)):
                archive.add(path, path.name)
    told = {"target": target, "executed": done.executed, "deaths": [list(death) for death in done.deaths]}
    return told | {"profiles": base64.b64encode(packed.getvalue()).decode()}


def unpack(result: Mapping[str, Any], folder: Path) -> Replayed:
    """Write the profiles of a result of :func:`coverage` into ``folder``. Raises HarnessError where it is none."""
    left, number = _PROFILES_SIZE, 0
    folder.mkdir()
    try:
        packed = io.BytesIO(base64.b64decode(result["profiles"], validate=True))
        with tarfile.open(fileobj=packed, mode="r|xz") as archive:
            for member in archive:
                left, number = left - member.size, number + 1
                if left < 0 or number > _PROFILES or not member.isfile():
                    raise tarfile.TarError("it is too large, or holds more than files")
                source = archive.extractfile(member)
                assert source is not None
                # Names of the archive lead nowhere.
                (folder / f"{number}.profraw").write_bytes(source.read())
        deaths = [(int(index), str(reason)) for index, reason in result["deaths"]]
        return Replayed(int(result["executed"]), deaths)
    except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
        raise HarnessError(f"the result holds no profiles: {error}", hint="run the command again") from error


#: Each kind by name: it gets the target, or the id of the finding, and returns the result as JSON has it.
KINDS: dict[str, Callable[[Place, str], dict[str, Any]]] = {"prune": prune, "minimize": minimize, "coverage": coverage}

# The fields by which a result is known, with their types.
_FIELDS: dict[str, dict[str, type]] = {
    "prune": {"target": str, "before": int, "after": int, "unmeasured": str},
    "minimize": {"id": str, "target": str, "before": int, "after": int, "note": str},
    "coverage": {"target": str, "executed": int, "deaths": list, "profiles": str},
}


def sound(kind: str, what: str, result: Mapping[str, Any]) -> bool:
    """Whether ``result``, which comes from a store, may be that of a task."""
    named = result.get("id" if kind == "minimize" else "target") == what
    return named and all(isinstance(result.get(name), one) for name, one in _FIELDS[kind].items())
