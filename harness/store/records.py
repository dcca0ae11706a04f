"""A campaign in a store: its identity, findings, guards, results of units, and sessions of the ledger.

Everything but the check of the clock is created once, so a unit may run twice and say the same thing twice.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import platform
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.corpus_store import sha1
from harness.errors import HarnessError
from harness.findings.finding import Finding
from harness.store.objects import Objects
from harness.store.shared_corpus import SKEW_S

FORMAT = 1
IDENTITY = "campaign.json"
_SMALL = 64 * 1024
_LARGE = 16 * 1024 * 1024
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CANDIDATE = re.compile(r"(\d{8})-([0-9a-f]{40})\.json")
# Tokens of a guard, and bytes of all of them.
_TOKENS, _GUARD_SIZE = 64, 4096


@dataclass(frozen=True)
class Identity:
    """The campaign that a store belongs to: harness and Python (``3.11``), content hash of the parser, and targets.

    No ``targets`` stand for any target: units without a driver share such a store.
    """

    harness: str
    python: str
    parser: str
    targets: tuple[str, ...] = ()


def python_version() -> str:
    """This Python, as identities name it."""
    return ".".join(platform.python_version_tuple()[:2])


def join(objects: Objects, mine: Identity, targets: Sequence[str] = (), *, begin: bool = True) -> Identity:
    """Join the campaign in the store, or begin it. Returns its identity. Raises HarnessError for another campaign.

    ``targets``: those that are to be driven; those of ``mine`` where it is empty. Without ``begin``, none is an error too.
    """
    if begin:
        words = json.dumps({"format": FORMAT, **dataclasses.asdict(mine)})
        if objects.create(IDENTITY, words.encode()):
            return mine
    raw = _table(objects, IDENTITY, _SMALL)
    if raw is None and IDENTITY not in objects.refused.named:
        raise HarnessError(f"the store {objects.address} has no campaign", hint="name the store of a campaign")
    if raw is None:
        raise HarnessError(
            f"{IDENTITY} in the store {objects.address} is damaged", hint="name an empty prefix as --store"
        )
    another = f"the store {objects.address} belongs to another campaign"
    for name, words in {"format": "the format", "harness": "the version of the harness", "python": "Python"}.items():
        own = FORMAT if name == "format" else getattr(mine, name)
        if raw.get(name) != own:
            raise HarnessError(
                f"{another}: {words} is {raw.get(name)!r} there and {own!r} here",
                hint="use the same version, or name an empty prefix as --store",
            )
    if raw.get("parser") != mine.parser:
        raise HarnessError(
            f"{another}: its parser is {str(raw.get('parser'))[:12]}, and the one here is {mine.parser[:12]}",
            hint="name its --parser, copy its folder in build/parsers from a host that has it, or use an empty prefix",
        )
    theirs = tuple(map(str, raw["targets"])) if isinstance(raw.get("targets"), list) else ()
    if theirs and (foreign := sorted(set(targets or mine.targets) - set(theirs))):
        raise HarnessError(
            f"{another}: it has no target {', '.join(foreign[:3])}",
            hint=f"it has {', '.join(theirs)}; use an empty prefix",
        )
    return Identity(mine.harness, mine.python, mine.parser, theirs)


def check_clock(objects: Objects, host: str) -> None:
    """Write a mark of this host. Raises HarnessError for a read-only store, and for a clock too far from the store's."""
    before = time.time()
    theirs = objects.replace(f"hosts/{_label(host)}", b"")
    off = before - theirs
    if abs(off) > SKEW_S:
        raise HarnessError(
            f"the clock of {host} is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the store's",
            hint=f"set the clock (NTP); {SKEW_S:.0f} s are allowed",
        )


def _label(host: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", host).lstrip("._-")[:80] or "host"


def check_id(name: str) -> str:
    """``name`` as the id of a unit. Raises HarnessError where it is none."""
    if not _ID.fullmatch(name):
        raise HarnessError(f"{name!r} is no id of a unit", hint="use letters, digits, dots, hyphens; at most 100")
    return name


def put_finding(objects: Objects, about: Mapping[str, Any], data: bytes) -> bool:
    """Store a finding with its input, beside other inputs of the same finding; whether this host is the first with it."""
    words = json.dumps({**about, "input": base64.b64encode(data).decode()})
    objects.create(f"findings/{about['id']}/{len(data):08d}-{sha1(data)}.json", words.encode())
    return objects.create(f"signatures/{about['id']}", b"")


def get_findings(
    objects: Objects, known: Mapping[str, int], names: Collection[str] | None = None
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The findings that ``known``, sizes of inputs by id, lacks or has with a larger input: fields, and the smallest input.

    ``names``: only findings with these ids.
    """
    done = set[str]()
    for entry in objects.list("findings"):
        parts = entry.path.split("/")
        match = _CANDIDATE.fullmatch(entry.name)
        if len(parts) != 3 or match is None:
            objects.refused.add(entry.path, "no name of a finding")
            continue
        if names is not None and parts[1] not in names:
            continue
        if parts[1] in done or int(match[1]) >= known.get(parts[1], 1 << 62):
            continue
        # By the order of names, the smallest input comes first.
        if (found := _finding(objects, entry.path, parts[1], match[2])) is not None:
            done.add(parts[1])
            yield found


def _finding(objects: Objects, path: str, name: str, content: str) -> tuple[dict[str, Any], bytes] | None:
    about = _table(objects, path, _LARGE)
    if about is None:
        return None
    try:
        data = base64.b64decode(about.pop("input"), validate=True)
        finding = Finding.of_signature(about["signature"], about["oracle"], about["summary"])
        if finding.id != name or about["id"] != name or sha1(data) != content or about["size"] != len(data):
            raise ValueError("its content does not match its name")
    except (ValueError, KeyError, TypeError, AttributeError, HarnessError):
        objects.refused.add(path, "no finding, or one of another name")
        return None
    return {name: value for name, value in about.items() if _CHECKS.get(name, _any)(value)}, data


def _any(_: object) -> bool:
    return True


def _words(value: object) -> bool:
    """Whether ``value`` may be a guard."""
    return isinstance(value, list) and 0 < len(value) <= _TOKENS and all(isinstance(one, str) and one for one in value)


def _replays(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), int) for name in ("runs", "held"))


#: Fields that others may add to a finding; one of another type is left out.
_CHECKS: dict[str, Callable[[object], bool]] = {
    "replays": _replays,
    "flaky": lambda value: isinstance(value, bool),
    "guard": _words,
}


def put_guard(objects: Objects, target: str, words: Sequence[str]) -> bool:
    """Store the guard against a process-killing input of a target; whether it is new there."""
    text = json.dumps(list(words)).encode()
    return objects.create(f"guards/{target}/{sha1(text)}", text)


def get_guards(objects: Objects, target: str) -> list[str]:
    """The guards for a target, each as a JSON list of tokens. A guard that is too short to mean anything is refused."""
    found = []
    for entry in objects.list(f"guards/{target}"):
        data = objects.read(entry.path, _GUARD_SIZE)
        try:
            words = json.loads(data or b"")
            if not _words(words) or sha1(data or b"") != entry.name:
                raise ValueError("no list of words, or not its own name")
        except (ValueError, RecursionError):
            objects.refused.add(entry.path, "no guard")
            continue
        found.append(json.dumps(words))
    return found


def put_result(objects: Objects, unit: str, result: Mapping[str, Any]) -> bool:
    """Store the result of a unit; False where it had one, which stays."""
    return objects.create(f"results/{check_id(unit)}.json", json.dumps(result).encode())


def get_result(objects: Objects, unit: str) -> dict[str, Any] | None:
    """The result of a unit, None without one."""
    return _table(objects, f"results/{check_id(unit)}.json", _LARGE)


def _table(objects: Objects, path: str, limit: int) -> dict[str, Any] | None:
    """The JSON object at ``path``; None, with a refusal, where it is something else."""
    data = objects.read(path, limit)
    if data is None:
        return None
    try:
        raw = json.loads(data)
        if not isinstance(raw, dict):
            raise TypeError("no object")
    except (ValueError, TypeError, RecursionError):
        objects.refused.add(path, "no JSON object")
        return None
    return raw


def put_session(objects: Objects, session: Mapping[str, Any]) -> bool:
    """Store a session of the ledger that has ended; False where it is there."""
    return objects.create(f"ledger/{check_id(str(session['id']))}.json", json.dumps(session).encode())


def get_sessions(objects: Objects, known: Collection[str]) -> list[dict[str, Any]]:
    """The sessions of the ledger whose ids are not ``known``, the first one first."""
    found = []
    for entry in objects.list("ledger"):
        name = entry.name.removesuffix(".json")
        if name not in known and (session := _table(objects, entry.path, _LARGE)) is not None:
            parts = [session.get("per_target"), session.get("findings")]
            sound = all(
                isinstance(part, dict) and all(isinstance(one, dict) for one in part.values()) for part in parts
            )
            if session.get("id") == name and sound:
                found.append(session)
            else:
                objects.refused.add(entry.path, "no session of the ledger")
    return sorted(found, key=lambda session: str(session.get("started")))
