"""Runs one unit whose seeds, inputs, findings and result are in a store that it shares with other hosts.

A unit that is killed runs again in the same folder, and first stores all that is left there. A unit with a result in the store
is not run again.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import socket
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.engine.campaign import folder
from harness.engine.campaign.exchange import PLACE, Exchange
from harness.engine.campaign.main import run_unit
from harness.engine.campaign.stop import Stop
from harness.engine.campaign.unit_report import REPORT, Reporter
from harness.engine.campaign.units import Result, Unit
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.parsers import registry
from harness.store import records
from harness.store.objects import Objects, Unreachable, open_store
from harness.store.records import Identity
from harness.targets.registry import get_target

#: Default of the seconds after a unit in which its results must reach the store.
PATIENCE_S = 60.0
_UNIT = "unit.json"
_JOINED = "joined.json"


def identity(parser: registry.Parser, targets: tuple[str, ...] = ()) -> Identity:
    """The identity of a campaign of this harness and Python."""
    return Identity(version("safetensors-harness"), records.python_version(), parser.content, targets)


def run(
    unit: Unit,
    place: Path,
    address: str,
    name: str = "",
    *,
    patience: float = PATIENCE_S,
    say: Callable[[str], object] = lambda _: None,
) -> Result:
    """Run ``unit`` in the folder ``place`` with the store at ``address``, as the unit of the id ``name``.

    A unit without an id gets one, which stays with the folder until its result is stored. ``patience``: most seconds after the
    unit in which its results must reach the store. ``say`` gets changes of the store's state in words. Raises HarnessError:
    another campaign's store, one that cannot be used, one that cannot be reached at the beginning by a new folder or at the end.
    """
    objects = open_store(address)
    parser = registry.find(unit.parser)
    host, stop = socket.gethostname(), Stop()
    with folder.locked(place / PLACE), stop.signals():
        there = _join(objects, place / PLACE, identity(parser), unit.target, host, say)
        exchange = Exchange(objects, place, host, parser.content, say)
        file = place / PLACE / _UNIT
        left = _left(file)
        if left and left["result"] is not None and name not in ("", left["id"]):
            # An earlier unit of this folder did not reach the store.
            _stored(exchange, left, file, patience, stop)
        began = left if left and name in ("", left["id"]) else _begun(file, name)
        if there and (known := records.get_result(objects, began["id"])) is not None:
            exchange.finish(patience, lambda: stop.asked)
            file.unlink()
            say(f"unit {began['id']} has a result in the store")
            return Result.of(known, f"the result of {began['id']}")
        if began["result"] is None:
            ready = _with_seeds(unit, exchange, there=there)
            if stop.asked:
                raise HarnessError("the unit was ended before it began", hint="run the same command again")
            result = _run(ready, place, exchange)
            began["result"] = dataclasses.asdict(result)
            write_atomic(file, json.dumps(began))
        return _stored(exchange, began, file, patience, stop)


def _join(objects: Objects, place: Path, mine: Identity, target: str, host: str, say: Callable[[str], object]) -> bool:
    """Join the campaign in the store. False where it gives no answer and this folder has joined it before."""
    joined = place / _JOINED
    words = json.dumps([objects.address, mine.harness, mine.python, mine.parser])
    known = joined.read_text() if joined.is_file() else words
    if known != words:
        raise HarnessError(
            f"{place.parent} is the folder of a unit with another store, parser or harness", hint="name another folder"
        )
    try:
        records.join(objects, mine, (target,))
        records.check_clock(objects, host)
    except Unreachable as error:
        if not joined.is_file():
            raise
        say(f"{error}; the unit starts with the inputs that it has")
        return False
    write_atomic(joined, words)
    return True


def _left(file: Path) -> dict[str, Any] | None:
    """The unit that an earlier process began in the folder: its id, and its result, None before its end."""
    try:
        known = json.loads(file.read_text())
        return {"id": records.check_id(known["id"]), "result": known["result"]}
    except (OSError, ValueError, KeyError, TypeError, HarnessError):
        return None


def _begun(file: Path, name: str) -> dict[str, Any]:
    began = {"id": records.check_id(name) if name else f"unit-{secrets.token_hex(8)}", "result": None}
    write_atomic(file, json.dumps(began))
    return began


def _with_seeds(unit: Unit, exchange: Exchange, *, there: bool) -> Unit:
    """The unit with the inputs and guards of all hosts."""
    seeds = exchange.seed(unit.target) if there else exchange.seeds(unit.target)
    own = get_target(unit.target).seeds()
    folder.seeds((*unit.seed_dirs, seeds), unit.target, own=own, empty=not unit.seed_dirs)
    guards = exchange.guards(unit.target) if there else ()
    return dataclasses.replace(
        unit,
        seed_dirs=(*unit.seed_dirs, seeds),
        # A run of N executions repeats, so inputs that come while it runs stay out.
        shared=not unit.runs,
        guards=tuple(dict.fromkeys((*unit.guards, *guards))),
    )


def _run(unit: Unit, place: Path, exchange: Exchange) -> Result:
    reporter = Reporter(unit.target, place / REPORT, exchange.state)
    with exchange:
        result = run_unit(unit, place, exchange, reporter)
    return dataclasses.replace(result, report=reporter.last())


def _stored(exchange: Exchange, began: dict[str, Any], file: Path, patience: float, stop: Stop) -> Result:
    """The result of the unit in ``file``, after all of it has reached the store."""
    exchange.finish(patience, lambda: stop.asked)
    result = Result.of(began["result"], f"the result in {file}")
    created = exchange.created.get(result.target, set())
    result = dataclasses.replace(
        result,
        corpus=tuple(name for name in result.corpus if name in created),
        new=tuple(name for name in result.new if name in exchange.first),
        store=exchange.state(),
    )
    records.put_result(exchange.objects, began["id"], dataclasses.asdict(result))
    file.unlink()
    return result
