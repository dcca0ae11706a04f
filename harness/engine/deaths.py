"""Inputs that kill their process: recorded as findings, and guarded against so that the campaign goes on.

A guard is as narrow as we can prove: the words of the input's header without which it no longer kills. A worker skips
(and counts) inputs that hold all of them; everything else about the input stays free to be fuzzed.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.engine.settings import WorkerSettings
from harness.engine.slot import read_slot
from harness.parsers import registry
from harness.targets import base as targets
from harness.triage import replay, store
from harness.triage.judging import isolated
from harness.triage.signature import signature

_DEADLY = frozenset({"crash", "hang", "memory"})
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
# Each candidate word costs one child process.
_MOST_WORDS = 16
_DIED = "died.json"


def record(
    campaign: Path, settings: WorkerSettings, data: bytes, kind: str, words: str, executions: int
) -> dict[str, Any]:
    """Store the input that was running when a worker died; returns its entry for the progress display.

    The death is repeated in a child of its own first. Where it does not repeat, the finding says so.
    """
    # Should the campaign's folder be full, :func:`recover` records the death from here.
    note = settings.memory / _DIED
    note.write_text(json.dumps({"kind": kind, "words": words, "executions": executions}))
    target = targets.get(settings.target)
    parser = registry.find(settings.parser) if target.uses_parser else None
    again = replay.once(parser, settings.target, data)
    repeats = again.outcome in _DEADLY
    if repeats:
        finding = again.findings[0].finding
    else:
        finding = isolated(target, data, kind, words)
        finding = replace(finding, summary=f"{finding.summary} (it did not repeat in a fresh process)")
    name = store.add(
        campaign,
        target.name,
        finding,
        data,
        parser=parser.name if parser else "",
        seed=settings.seed,
        execution=executions,
    )
    text = signature(target.name, finding)
    known = store.known(text) or ""
    if repeats:
        needles = _needles(parser, settings.target, data)
        if needles:
            store.set_guard(campaign, name, [needle.decode() for needle in needles])
    note.unlink()
    return {"id": name, "known": known, "signature": text, "count": 1, "size": len(data), "target": settings.target}


def recover(memory: Path) -> None:
    """Record the death that could not be recorded when it happened, if the worker of this folder died."""
    data = read_slot(memory / "slot")
    if (memory / _DIED).is_file() and data is not None:
        settings = WorkerSettings.load(memory / "settings.json")
        record(settings.campaign, settings, data, **json.loads((memory / _DIED).read_text()))


def _needles(parser: registry.Parser | None, target: str, data: bytes) -> list[bytes]:
    """The words of ``data`` without which it does not kill."""
    found: list[bytes] = []
    words = list(dict.fromkeys(_WORD.findall(data)))
    # Format words stand in every file: they would make no guard narrower.
    common = {b"dtype", b"shape", b"data_offsets"}
    for word in [word for word in words if word not in common][:_MOST_WORDS]:
        without = data.replace(word, b"x" * len(word))
        if replay.once(parser, target, without).outcome not in _DEADLY:
            found.append(word)
    return found


def guards(campaign: Path) -> list[str]:
    """The guards of a campaign's findings, one JSON list of words each, as workers take them."""
    return [json.dumps(words) for words in store.guards(campaign)]
