"""Records inputs that kill their process as findings, and makes guards against them.

A guard holds the essential tokens of a deadly input: words of its header, or steps of its program, without which it no longer
kills. A worker skips and counts inputs with all tokens of a guard. Other inputs run.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.engine.campaign.figures import finding_entry
from harness.engine.worker import slot
from harness.engine.worker.essential_tokens import DEADLY, essential_tokens
from harness.engine.worker.settings import WorkerSettings
from harness.findings import store
from harness.parsers import registry
from harness.replay import replay
from harness.replay.exit_reason import call_at, sign_at
from harness.replay.judge import death
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
    """Store the last input of a dead worker as a finding. Returns its entry for :class:`Progress`.

    The death is repeated in a fresh process first. Where it does not repeat, the finding says so; without ``sure`` that the
    worker died by itself, nothing is stored then and None returned. ``call`` is the number of the program's last call.
    """
    # Where the campaign's folder is full, :func:`recover` records the death from this note.
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
    if again.report:
        store.set_report(campaign, finding.id, again.report)
    if repeats:
        dies = lambda other: replay.once(parser, settings.target, other).outcome in DEADLY  # noqa: E731
        guard = essential_tokens(data, target.unit, dies)
        if guard:
            store.set_guard(campaign, finding.id, [word.decode("latin-1") for word in guard])
    note.unlink()
    return finding_entry(finding, len(data))


def recover(memory: Path) -> None:
    """Record a death in this memory folder that could not be recorded when it happened."""
    data, _ = slot.read(memory / "slot")
    if (memory / _DIED).is_file() and data is not None:
        settings = WorkerSettings.load(memory / "settings.json")
        record(settings.campaign, settings, data, **json.loads((memory / _DIED).read_text()))


def guards(campaign: Path) -> list[str]:
    """The guards of a campaign's findings for its workers, each as a JSON list of tokens."""
    return [json.dumps(words) for words in store.guards(campaign)]
