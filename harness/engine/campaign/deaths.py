"""Inputs that kill their process: recorded as findings, and guarded against so that the campaign goes on.

A guard is as narrow as we can prove: the words of the input's header, or the steps of its program, without which it no
longer kills. A worker skips (and counts) inputs that hold all of them; everything else about the input stays free to be fuzzed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.engine.worker.essential_tokens import DEADLY, needles
from harness.engine.worker.settings import WorkerSettings
from harness.engine.worker.slot import read_slot
from harness.findings import store
from harness.parsers import registry
from harness.replay import replay
from harness.replay.exit_reason import call_at, sign_at
from harness.replay.judge import death
from harness.targets import known_findings
from harness.targets.registry import get_target

_DIED = "died.json"


def record(
    campaign: Path,
    settings: WorkerSettings,
    data: bytes,
    kind: str,
    words: str,
    executions: int,
    call: int = 0,
    *,
    sure: bool = True,
) -> dict[str, Any] | None:
    """Store the input that was running when a worker died; returns its entry for the progress display.

    ``call`` is the number of the call that a program was at. Unless it is ``sure`` that the worker died of its own
    accord, the death is stored (and not None returned) only where it repeats.

    The death is repeated in a child of its own first. Where it does not repeat, the finding says so.
    """
    # Should the campaign's folder be full, :func:`recover` records the death from here.
    note = settings.memory / _DIED
    note.write_text(json.dumps({"kind": kind, "words": words, "executions": executions, "call": call, "sure": sure}))
    target = get_target(settings.target)
    parser = registry.find(settings.parser) if target.uses_parser else None
    again = replay.once(parser, settings.target, data)
    repeats = again.outcome in DEADLY
    if not repeats and not sure:
        note.unlink()
        return None
    if repeats:
        finding = again.findings[0].finding
    else:
        finding = death(target, data, kind, sign_at(target, data, call, words), call_at(target, data, call))
        finding = replace(finding, summary=f"{finding.summary} (it did not repeat in a fresh process)")
    store.add(
        campaign,
        finding,
        data,
        parser=parser.name if parser else "",
        seed=settings.seed,
        execution=executions,
    )
    known = known_findings.known(finding.signature) or ""
    if again.report:
        store.set_report(campaign, finding.id, again.report)
    if repeats:
        dies = lambda other: replay.once(parser, settings.target, other).outcome in DEADLY  # noqa: E731
        guard = needles(data, target.unit, dies)
        if guard:
            store.set_guard(campaign, finding.id, [word.decode("latin-1") for word in guard])
    note.unlink()
    return {
        "id": finding.id,
        "known": known,
        "signature": finding.signature,
        "count": 1,
        "size": len(data),
        "target": settings.target,
    }


def recover(memory: Path) -> None:
    """Record the death that could not be recorded when it happened, if the worker of this folder died."""
    data = read_slot(memory / "slot")
    if (memory / _DIED).is_file() and data is not None:
        settings = WorkerSettings.load(memory / "settings.json")
        record(settings.campaign, settings, data, **json.loads((memory / _DIED).read_text()))


def guards(campaign: Path) -> list[str]:
    """The guards of a campaign's findings, one JSON list of words each, as workers take them."""
    return [json.dumps(words) for words in store.guards(campaign)]
