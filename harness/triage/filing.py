"""From a campaign's finding to a folder in crashes/: repeated in fresh processes, minimised, described, filed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import HarnessError
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.programs import strategies
from harness.targets import base
from harness.triage import crashes, replay, reproducer, store
from harness.triage.account import account
from harness.triage.crashes import Crash
from harness.triage.minimize import Keep, Progress, minimize
from harness.triage.replay import Judged, Replay, Replayer
from harness.triage.signature import finding_id, parts
from harness.triage.store import Stored

#: Builds that a finding is tried on: what is fuzzed, and what users have.
FLAVOURS = ("sancov", "wheel", "address")
#: How often a finding that does not show at once is tried again: some depend on where memory happens to lie.
TRIES = 3

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Shown:
    """One build on which an input shows a signature."""

    parser: Parser | None
    replay: Replay
    judged: Judged


def builds(target: str) -> list[Parser | None]:
    """Every build that a finding is tried on, the newest release first, instrumented before plain.

    ``[None]`` for a target that runs no parser. Raises HarnessError when nothing is built.
    """
    if not base.get(target).uses_parser:
        return [None]
    newest = registry.default_release()
    found = [p for p in registry.available() if p.flavour in FLAVOURS and not p.why_not_here()]
    found.sort(key=lambda p: (p.version != newest, p.version, FLAVOURS.index(p.flavour)))
    return [*found] or [registry.find(None)]


def shows(target: str, sig: str, data: bytes, parsers: list[Parser | None] | None = None) -> list[Shown]:
    """The builds on which ``data`` shows ``sig``, each in a process of its own."""
    found = []
    for parser in builds(target) if parsers is None else parsers:
        result = replay.once(parser, target, data)
        judged = next((one for one in result.findings if one.signature == sig), None)
        if judged is not None:
            found.append(Shown(parser, result, judged))
    return found


def smallest(parser: Parser | None, target: str, sig: str, data: bytes, progress: Progress | None = None) -> bytes:
    """``data`` minimised so that it shows ``sig`` still. Raises HarnessError when it does not show it at all."""
    chosen = base.get(target)
    words = base.vocabulary(chosen)
    kills = parts(sig).kind in ("crash", "memory")
    with Replayer(parser, target, relations=_needs_relations(sig), forks=kills) as replayer:
        keep: Keep = lambda candidate: sig in replayer.run(candidate).signatures  # noqa: E731
        if words is not None:
            # Hypothesis knows how to make a program simple; that nothing more can go is for our own passes to see to.
            data = strategies.shrink(words, data, keep)
        return minimize(data, keep, unit=base.unit(chosen), progress=progress)


def _needs_relations(sig: str) -> bool:
    return parts(sig).rule.startswith("metamorphic.")


def describe(
    stored: Stored, data: bytes, shown: list[Shown], campaign: Path, *, original: int | None = None
) -> tuple[Crash, str]:
    """The finding as it is filed, with its reproducer; ``original`` is the size before it was minimised."""
    first = shown[0]
    finding = first.judged.finding
    why, sentence = account(finding)
    newest = registry.default_release()
    crash = Crash(
        id=finding_id(stored.signature),
        target=stored.target,
        oracle=finding.oracle,
        kind=finding.kind,
        signature=stored.signature,
        status=crashes.OPEN,
        summary=finding.summary,
        why=why,
        rule=finding.rule,
        aspect=finding.aspect,
        sentence=sentence,
        place=next((one.replay.place for one in shown if one.replay.place), ""),
        releases=tuple(sorted({one.parser.version for one in shown if one.parser}, key=_by_number)),
        builds=tuple(dict.fromkeys(one.parser.flavour for one in shown if one.parser and one.parser.version == newest)),
        found={
            "campaign": campaign.resolve().name,
            "parser": stored.parser,
            "seed": stored.seed,
            "seconds": stored.seconds,
            "execution": stored.execution,
            "date": stored.first_seen,
            "minimised_from": original or len(data),
            "size": len(data),
        },
    )
    return crash, reproducer.write(crash, data, first.replay.error, first.judged.variant)


def _by_number(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version))


def file_finding(
    stored: Stored, campaign: Path, *, shrink: bool = True, say: Say, progress: Progress | None = None
) -> Crash | None:
    """Repeat, minimise and file one finding; None, and said so, when it shows on no build.

    The campaign keeps its input; what was found about it goes into its finding.json.
    """
    data = stored.data()
    first = _first_builds(stored)
    shown = next((found for _ in range(TRIES) if (found := shows(stored.target, stored.signature, data, first))), [])
    shown = shown or shows(stored.target, stored.signature, data)
    if not shown:
        say(f"{stored.id}: does not show again on any build; left in the campaign")
        store.update(stored, reproduces=[])
        return None
    original = stored.about.get("found_size", stored.size)
    if shrink:
        try:
            data = smallest(shown[0].parser, stored.target, stored.signature, data, progress)
        except HarnessError as error:
            # It showed in fresh processes, and not in one that has run before: filed as it is.
            say(f"{stored.id}: not minimised: {error}")
    everywhere = shows(stored.target, stored.signature, data)
    if not everywhere:
        say(f"{stored.id}: the minimised input does not show it in a fresh process; filed as found")
        data = stored.data()
        everywhere = shows(stored.target, stored.signature, data) or shown
    shown = everywhere
    names = [one.parser.name if one.parser else stored.target for one in shown]
    store.update(stored, reproduces=names)
    crash, text = describe(stored, data, shown, campaign, original=original)
    report = next((one.replay.report for one in shown if one.replay.report), "")
    folder = crashes.file(crash, data, text, report=report)
    store.replace_input(stored, data, crash.summary)
    say(f"{crash.id}: filed ({original} -> {len(data)} bytes; {', '.join(names)})")
    return crashes.load(folder)


def _first_builds(stored: Stored) -> list[Parser | None]:
    """The build a finding was made on, and those of the newest release: enough to know whether it repeats."""
    newest = registry.default_release()
    return [p for p in builds(stored.target) if p is None or p.version == newest or p.name == stored.parser]


def group(sig: str) -> str:
    """What findings of different targets that are probably one defect have in common."""
    found = parts(sig)
    # Targets put "Error while ...: " of their own before the reason.
    reason = found.aspect.rpartition(": ")[2]
    return f"{found.kind}|{found.rule}|{reason}"


def refile(crash: Crash, data: bytes) -> None:
    """Put a smaller input in the place of a filed finding's; status, verdict and why stay.

    Raises HarnessError when it does not show the finding in a fresh process.
    """
    shown = shows(crash.target, crash.signature, data)
    if not shown:
        raise HarnessError(
            f"the smaller input does not show {crash.id} in a fresh process", hint="the folder is as it was"
        )
    first = shown[0]
    smaller = replace(crash, summary=first.judged.finding.summary, found={**crash.found, "size": len(data)})
    text = reproducer.write(smaller, data, first.replay.error, first.judged.variant)
    crashes.file(smaller, data, text, root=crash.folder.parent)
