"""What ``harness triage verdict`` and ``harness triage rules`` say of rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from harness.findings import crashes
from harness.findings.verdicts import VerdictRule
from harness.triage.verdict_proposals import Matches


def rule_line(rule: VerdictRule) -> str:
    """A rule in one line."""
    return f"{rule.name}: {rule.verdict}, {rule.target}|{rule.kind}|{rule.rule}|{rule.aspect}"


def match_lines(found: Matches) -> Iterator[str]:
    """What a rule covers, in lines."""
    if found.filed:
        yield f"  filed: {', '.join(f'{crash.id} ({crash.status})' for crash in found.filed)}"
    for one in found.met:
        if one.ids:
            share = f", {100 * one.share:.2f} % of executions" if one.executions else ""
            times = "once" if one.count == 1 else f"{one.count:,} times"
            yield f"  in {one.campaign.name}: {', '.join(one.ids)} (seen {times}{share})"
    if found.nothing:
        yield f"  nothing in crashes/ and in {_campaigns(len(found.met))}"


def _campaigns(count: int) -> str:
    return f"{count} campaign" + "s" * (count != 1)


def listed(rule: VerdictRule, found: Matches, source: str) -> Iterator[str]:
    """A rule with all that is to be said of it, in lines."""
    yield f"{rule_line(rule)}  ({source})"
    if stale(rule, found):
        yield f"  STALE: it matches nothing in crashes/ and in {_campaigns(len(found.met))}"
    elif found.nothing:
        yield "  not tried: it matches nothing in crashes/, and no campaign looked at drove its target"
    else:
        yield from match_lines(found)
    if bugs := contradicted(rule, found):
        yield f"  TOO WIDE: it covers {', '.join(bugs)}, filed as bugs"
    if (most := found.too_wide()) is not None:
        yield f"  TOO WIDE: it covers {100 * most.share:.1f} % of the executions of {most.campaign.name}"


def contradicted(rule: VerdictRule, found: Matches) -> list[str]:
    """Ids of filed bugs that the rule says are by design; what is a duplicate or stays as it is may be a bug."""
    return found.bugs() if rule.verdict == crashes.BY_DESIGN else []


def drove(rule: VerdictRule, found: Matches) -> bool:
    """Whether one of the campaigns drove a target that the rule is for."""
    return any(fnmatchcase(target, rule.target) for one in found.met for target in one.targets)


def stale(rule: VerdictRule, found: Matches) -> bool:
    """Whether a rule matches nothing, though something was there that it could have matched.

    Of a target that was not driven, as its framework is not installed here, nobody knows.
    """
    return found.nothing and drove(rule, found)


def as_json(rule: VerdictRule, found: Matches, source: Path | str) -> dict[str, Any]:
    """A rule and what it covers, for machines."""
    return {
        **asdict(rule),
        "source": str(source),
        "filed": [{"id": crash.id, "status": crash.status} for crash in found.filed],
        "campaigns": [
            {
                "campaign": str(one.campaign),
                "findings": list(one.ids),
                "count": one.count,
                "executions": one.executions,
                "share": round(one.share, 6),
            }
            for one in found.met
        ],
        "matched": len(found.filed) + len({name for one in found.met for name in one.ids}),
        "stale": stale(rule, found),
        "driven": drove(rule, found),
        "bugs": contradicted(rule, found),
        "too_wide": found.too_wide() is not None,
    }
