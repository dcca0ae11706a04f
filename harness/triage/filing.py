"""From a campaign's finding to a folder in crashes/: repeated in fresh processes, minimised, described, filed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import HarnessError
from harness.files import write_atomic
from harness.findings import crashes, store
from harness.findings import rule as rules
from harness.findings.crashes import Crash
from harness.findings.signature import parts
from harness.findings.store import Stored
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.programs import strategies
from harness.replay import replay
from harness.replay.replay import Judged, Replay, Replayer
from harness.targets import known_findings
from harness.targets.base import Target
from harness.targets.registry import get_target
from harness.triage import reproducer
from harness.triage.minimize import Keep, Progress, minimize

#: How often a finding that does not show at once is tried again: some depend on where memory happens to lie.
TRIES = 3
# Seconds for a reproducer: those of hangs wait for half a minute.
_REPRODUCER_S = 300.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Shown:
    """One build on which an input shows a signature."""

    parser: Parser | None
    replay: Replay
    judged: Judged


def builds(target: str) -> list[Parser | None]:
    """Every build that a finding is tried on, the newest release first, instrumented before plain. Changed ones are left out.

    ``[None]`` for a target that runs no parser. Raises HarnessError when nothing is built.
    """
    driven = get_target(target)
    if not driven.uses_parser:
        return [None]
    newest = registry.default_release()
    flavours = driven.flavours
    found = [p for p in registry.available() if _runs(p, driven) and not _changed(p)]
    found.sort(key=lambda p: (p.version != newest, p.version, flavours.index(p.flavour)))
    return [*found] or [registry.find(None, flavours[0])]


def _runs(parser: Parser, driven: Target) -> bool:
    """Whether a target can run on a build. Older releases lack the modules of some frameworks."""
    if parser.flavour not in driven.flavours or parser.why_not_here():
        return False
    return not driven.module or parser.site.joinpath(*driven.module.split(".")).with_suffix(".py").is_file()


def _changed(parser: Parser) -> bool:
    """Whether it is one of `harness verify`, or has fixes: its findings say nothing about a release."""
    return bool(parser.fixes) or parser.name in registry.VERIFIED


def newest_builds(target: str) -> list[Parser | None]:
    """Of :func:`builds`, those of the newest release."""
    newest = registry.default_release()
    return [build for build in builds(target) if build is None or build.version == newest]


def shows(target: str, sig: str, data: bytes, parsers: list[Parser | None] | None = None) -> list[Shown]:
    """The builds on which ``data`` shows ``sig``, each in a process of its own."""
    found = []
    for parser in builds(target) if parsers is None else parsers:
        result = replay.once(parser, target, data)
        judged = next((one for one in result.findings if one.signature == sig), None)
        if judged is not None:
            found.append(Shown(parser, result, judged))
    return found


def repeated(target: str, sig: str, data: bytes, own: Parser | None) -> list[Shown]:
    """As :func:`shows`, at the first of some tries, on ``own``, the build of the campaign, and on those of the newest release."""
    newest = newest_builds(target)
    first = [*newest, own] if own and own not in newest and _runs(own, get_target(target)) else newest
    return next((found for _ in range(TRIES) if (found := shows(target, sig, data, first))), [])


def smallest(parser: Parser | None, target: str, sig: str, data: bytes, progress: Progress | None = None) -> bytes:
    """``data`` minimised so that it shows ``sig`` still. Raises HarnessError when it does not show it at all."""
    chosen = get_target(target)
    words = chosen.vocabulary
    kills = parts(sig).kind in ("crash", "memory")
    with Replayer(parser, target, relations=needs_relations(sig), forks=kills) as replayer:
        keep: Keep = lambda candidate: sig in replayer.run(candidate).signatures  # noqa: E731
        if words is not None:
            # Hypothesis knows how to make a program simple; that nothing more can go is for our own passes to see to.
            data = strategies.shrink(words, data, keep)
        return minimize(data, keep, unit=chosen.unit, progress=progress)


def needs_relations(sig: str) -> bool:
    """Whether only the costly oracles (:class:`Replayer`) can find it: other spellings, or many runs."""
    return any(rule.costly for rule in rules.named(parts(sig).rule))


def describe(
    stored: Stored, data: bytes, shown: list[Shown], campaign: Path, *, original: int | None = None
) -> tuple[Crash, str]:
    """The finding as it is filed, with its reproducer; ``original`` is the size before it was minimised."""
    first = shown[0]
    finding = first.judged.finding
    newest = registry.default_release()
    crash = Crash(
        finding,
        status=crashes.OPEN,
        why=finding.why,
        sentence=finding.sentence,
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
    return crash, reproducer.write(crash, data, first.judged.variant)


def rewrite(crash: Crash) -> bool:
    """Write the reproducer of a filed finding anew; False where a person wrote it (:data:`reproducer.BY_HAND`)."""
    path = crash.folder / crashes.REPRODUCER
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    if reproducer.BY_HAND in before:
        return False
    variant = b""
    if crash.rule.check == "relation":
        # Relations draw: another run draws otherwise.
        runs = (shows(crash.target, crash.signature, crash.data(), newest_builds(crash.target)) for _ in range(TRIES))
        variant = next((shown[0].judged.variant for shown in runs if shown), b"")
    write_atomic(path, reproducer.write(crash, crash.data(), variant))
    return True


def _by_number(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version))


def file_finding(
    stored: Stored, campaign: Path, *, shrink: bool = True, say: Say, progress: Progress | None = None
) -> Crash | None:
    """Repeat, minimise and file one finding; None, and said so, when it shows on no build or is about something else.

    The campaign keeps its input; what was found about it goes into its finding.json.
    """
    if other := get_target(stored.target).about_another(stored.signature):
        # The folders in crashes/ are published, and other projects hear of their defects first.
        say(f"{stored.id}: is about {other}, not the parser; left in the campaign: report it there")
        return None
    data = stored.data()
    shown = repeated(stored.target, stored.signature, data, registry.read(stored.parser))
    shown = shown or shows(stored.target, stored.signature, data)
    if shown and all(one.parser and _changed(one.parser) for one in shown):
        # The folders in crashes/ are about releases.
        say(f"{stored.id}: shows only on {stored.parser}, a changed parser; left in the campaign")
        store.update(stored, reproduces=[stored.parser])
        return None
    if not shown:
        say(f"{stored.id}: does not show again on any build; left in the campaign")
        store.update(stored, reproduces=[])
        return None
    original = stored.fields.get("found_size", stored.size)
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
    instead = _on_the_wheel(stored, data, shown, campaign)
    names = [one.parser.name if one.parser else stored.target for one in shown]
    store.update(stored, reproduces=names)
    crash, text = describe(stored, data, shown, campaign, original=original)
    crash = replace(crash, instead=instead)
    report = next((one.replay.report for one in shown if one.replay.report), "")
    folder = crashes.file(crash, data, text, report=report)
    wheel = next((one.parser for one in shown if one.parser and one.parser.flavour == "wheel"), None)
    if wheel is not None and not _reproduces(folder, wheel):
        say(f"{crash.id}: the plain reproducer does not show it; reproduce.py asks the harness instead")
        crashes.file(crash, data, reproducer.ask_harness(crash), report=report)
    store.replace_input(stored, data, crash.summary)
    say(f"{crash.id}: filed ({original} -> {len(data)} bytes; {', '.join(names)})")
    return crashes.load(folder)


def _reproduces(folder: Path, wheel: Parser) -> bool:
    """Whether the reproducer in ``folder`` ends with 1 on the ``wheel``, or asks the harness, which has seen the finding."""
    script = folder / crashes.REPRODUCER
    if reproducer.needs_harness(script.read_text(encoding="utf-8")):
        return True
    environment = os.environ | {"PYTHONPATH": str(wheel.site), "RUST_BACKTRACE": "0"}
    try:
        done = subprocess.run(
            [sys.executable, str(script.resolve())],
            env=environment, cwd=folder, capture_output=True, check=False, timeout=_REPRODUCER_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    # A traceback ends with 1 too.
    return done.returncode == 1 and b"shows: " in done.stdout


def _on_the_wheel(stored: Stored, data: bytes, shown: list[Shown], campaign: Path) -> str:
    """The behaviour for users where only checked builds show a finding: "" when the wheel of the newest release shows it too.

    A checked build stops an overflow that goes on to another symptom in a release. A symptom that is not known yet becomes
    a finding of the campaign's own.
    """
    newest = registry.default_release()
    wheel = next((p for p in builds(stored.target) if p and p.version == newest and p.flavour == "wheel"), None)
    if wheel is None or any(one.parser == wheel for one in shown):
        return ""
    result = replay.once(wheel, stored.target, data)
    seen = {other.signature for other in store.findings(campaign)}
    for judged in result.findings:
        if judged.signature not in seen and known_findings.known(judged.signature) is None:
            store.add(campaign, judged.finding, data, parser=wheel.name, seed=stored.seed)
    return f"{wheel.name}: {result.outcome}{': ' + result.error[:200] if result.error else ''}"


def group(sig: str) -> str:
    """The common key of findings that are probably one defect, seen by several oracles or through several entry points."""
    found = parts(sig)
    # Targets put "Error while ...: " of their own before the reason.
    reason = found.aspect.rpartition(": ")[2]
    oracle, _, rest = found.rule.partition(".")
    if found.rule == "misread" or (oracle == "agreement" and ":" not in reason):
        # A loader that reads otherwise than the file says reads otherwise than deserialize; others have makers of their own.
        return f"{found.kind}|misread by {found.target}|{reason}"
    # The two oracles of what was written use the same words; that of quantised groups names the call.
    rule = {"torch": f"roundtrip.{rest}", "quantized": oracle}.get(oracle, found.rule)
    return f"{found.kind}|{rule}|{reason}"


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
    smaller = replace(crash, finding=first.judged.finding, found={**crash.found, "size": len(data)})
    text = reproducer.write(smaller, data, first.judged.variant)
    crashes.file(smaller, data, text, root=crash.folder.parent)
