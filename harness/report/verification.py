"""The result of ``harness verify``: text, Markdown for a pull request, JSON."""

from __future__ import annotations

from typing import Any

from harness.parsers.upstream_tests import Comparison
from harness.report.text import code, inert, plain, table
from harness.report.words import cut
from harness.triage.verify import CANNOT, DIFFERENT, MENDED, STILL, Judged, Verification

_MOST_TESTS = 20


def _touched(done: Verification) -> list[Judged]:
    """The defects that the change is to mend, or does something to."""
    return [one for one in done.defects if one.named or one.count(MENDED) or one.count(DIFFERENT)]


def _rest(done: Verification) -> str:
    """The others in a sentence, or ""."""
    others = [one for one in done.defects if one not in _touched(done)]
    counts = ((sum(one.verdict == word for one in others), word) for word in (STILL, CANNOT))
    words = {STILL: "as before", CANNOT: "cannot be told"}
    said = [f"{number} {words[word]}" for number, word in counts if number]
    return f"Other defects: {', '.join(said)}." if said else ""


def _findings(judged: Judged) -> str:
    """The findings in words: the number of those mended, then the others by name."""
    told = [f"{judged.count(MENDED)} of {len(judged.told)} findings mended"]
    for word in (STILL, DIFFERENT, CANNOT):
        alike: dict[str, list[str]] = {}
        for one in judged.told:
            if one.verdict == word:
                alike.setdefault(one.why, []).append(one.finding.id)
        told += [f"{word}: {', '.join(names)}" + (f" ({why})" if why else "") for why, names in alike.items()]
    return "; ".join(told)


def _change(done: Verification) -> str:
    after = done.pair.after
    what = (
        f"the fix{'es' * (len(after.fixes) > 1)} {', '.join(after.fixes)}" if after.fixes else after.manifest["origin"]
    )
    return f"{what}, against {done.pair.before.name}"


def _tests(one: Comparison) -> list[str]:
    """The result of a suite, a line for each kind of test."""
    if "" in one.unable:
        return [f"could not run: {one.unable['']}"]
    found = [f"{one.passed} passed, {len(one.broken)} broken"]
    found += [f"broken: {name or 'the suite'}: {why}" for name, why in one.broken.items()]
    found += [f"mended: {name}" for name in one.mended]
    if one.before:
        found.append(f"failed before as well: {', '.join(one.before)}")
    reasons: dict[str, list[str]] = {}
    for name, why in one.unable.items():
        reasons.setdefault(why, []).append(name)
    return found + [f"could not run ({why}): {', '.join(names)}" for why, names in reasons.items()]


def _campaign(done: Verification) -> str:
    if not done.campaign:
        return "No campaign ran."
    told = done.campaign
    idle = ", ".join(f"{name} ({state['state']})" for name, state in told["not_run"].items())
    return (
        f"{told['executions']:,} executions in {told['seconds']:.0f} s on {', '.join(told['targets'])}: {len(done.new)} new "
        f"findings, {told['elsewhere']} that show before the change as well, {told['known']} known"
        + (f"; did not run: {idle}" if idle else "")
    )


def text(done: Verification) -> str:
    """Lines for a terminal."""
    lines = [f"change: {_change(done)}"]
    lines += [f"  {one.verdict:<18}{one.defect.name}: {_findings(one)}" for one in _touched(done)]
    lines += [_rest(done)] if _rest(done) else []
    for suite in done.tests:
        first, *more = (plain(line) for line in _tests(suite))
        lines += [f"{suite.suite}: {first}", *(f"  {line}" for line in more[:_MOST_TESTS])]
    lines.append(_campaign(done))
    lines += [f"  {name}: {plain(summary)}" for name, _, summary in done.new]
    lines.append(f"fails: {'; '.join(plain(fault, 200) for fault in done.faults)}" if done.faults else "passes")
    return "\n".join(lines) + "\n"


def markdown(done: Verification) -> str:
    """A comment on a pull request."""
    faults = done.faults
    parts = [f"### safetensors-harness: {'the change has faults' if faults else 'nothing new, nothing broken'}\n"]
    parts += [f"{inert(_change(done))}.\n"]
    if touched := _touched(done):
        rows = (
            [inert(one.verdict), code(one.defect.name), inert(one.defect.title), inert(_findings(one), 600)]
            for one in touched
        )
        parts.append(table(("verdict", "defect", "title", "findings"), rows))
    else:
        parts.append("No defect on record shows otherwise than before.\n")
    parts += [f"{_rest(done)}\n"] if _rest(done) else []
    for suite in done.tests:
        first, *more = (inert(line, 600) for line in _tests(suite))
        parts.append(f"**{suite.suite}**: {first}\n" + "".join(f"- {line}\n" for line in more[:_MOST_TESTS]))
    parts.append(f"**Campaign**: {inert(_campaign(done), 600)}\n")
    if done.new:
        parts.append(
            table(("new finding", "observed"), ([code(name), inert(summary)] for name, _, summary in done.new))
        )
    if faults:
        parts.append("Faults:\n\n" + "".join(f"- {inert(cut(fault, 300))}\n" for fault in faults))
    return "\n".join(parts)


def as_json(done: Verification) -> dict[str, Any]:
    """Everything, as plain values."""
    return {
        "change": {
            "parser": done.pair.after.name,
            "origin": done.pair.after.manifest["origin"],
            "fixes": list(done.pair.after.fixes),
        },
        "against": done.pair.before.name,
        "passes": not done.faults,
        "faults": done.faults,
        "defects": [
            {
                "name": one.defect.name,
                "title": one.defect.title,
                "named": one.named,
                "verdict": one.verdict,
                "findings": [{"id": told.finding.id, "verdict": told.verdict, "why": told.why} for told in one.told],
            }
            for one in done.defects
        ],
        "tests": [
            {
                "suite": one.suite,
                "passed": one.passed,
                "broken": [{"test": name, "why": why} for name, why in one.broken.items()],
                "failed_before": list(one.before),
                "mended": list(one.mended),
                "could_not_run": [{"test": name, "why": why} for name, why in one.unable.items()],
            }
            for one in done.tests
        ],
        "campaign": done.campaign,
        "new": [{"id": name, "signature": sig, "summary": summary} for name, sig, summary in done.new],
        "seconds": done.seconds,
    }
