"""Findings in SARIF 2.1.0, as a plain dictionary.

A finding is a result at the place where its folder in crashes/ is, or will be once it is filed. The folder's name follows
from the signature. So place and fingerprints are the same in every run, on every machine, before and after filing.
Findings that are filed as fixed are no results: they are gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from harness.findings import crashes
from harness.findings.rule import Rule
from harness.findings.signature import finding_id
from harness.report import catalogue, record
from harness.report.drives import not_driven
from harness.report.gather import NEW, RULED, Campaign, Row
from harness.report.text import plain
from harness.triage import compare_builds

#: GitHub's limits on one upload, which all of ours stay below; what goes past is cut off, the worst first.
MOST_RESULTS = 25_000
MOST_TEXT = 1000
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
#: Bases of relative places: the repository with crashes/, the folder of campaigns, the source of the parser.
ROOT, CAMPAIGNS, PARSER = "%SRCROOT%", "CAMPAIGNS", "PARSERSOURCE"
# Against what is filed, or against another build; all other states say that it was there before.
_BASELINE = {NEW: "new", compare_builds.NOT_AGAIN: "absent"}


def sarif(rows: Iterable[Row], campaigns: Iterable[Campaign] = ()) -> dict[str, Any]:
    """The log of ``rows`` (:func:`harness.report.gather.rows`) with one run."""
    shown = [row for row in rows if row.state != crashes.FIXED][:MOST_RESULTS]
    listed = {rule.name: rule for rule in catalogue.standing()}
    for row in shown:
        listed.setdefault(row.rule.name, row.rule)
    indices = {name: number for number, name in enumerate(listed)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "safetensors-harness",
                        "version": version("safetensors-harness"),
                        "semanticVersion": version("safetensors-harness"),
                        "shortDescription": {"text": "Fuzzing and hardening harness for the safetensors parser"},
                        "rules": [_rule(rule) for rule in listed.values()],
                    }
                },
                "automationDetails": {"id": "safetensors-harness/"},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {
                    ROOT: {"description": {"text": "The repository that holds crashes/."}},
                    CAMPAIGNS: {"description": {"text": "The folder that holds the campaigns, build/campaigns."}},
                    PARSER: {"description": {"text": "The source of the parser under test."}},
                },
                "invocations": [_invocation(list(campaigns))],
                "results": [_result(row, indices[row.rule.name]) for row in shown],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    tags = list(catalogue.tags(rule))
    properties: dict[str, Any] = {"tags": tags, "precision": "very-high", "severity": rule.severity}
    if score := catalogue.score(rule.severity):
        properties["tags"] = ["security", *tags]
        properties["security-severity"] = score
    full = catalogue.meaning(rule)
    commands = (
        "Repeat a finding with `harness repro ID`; `harness explain ID` shows what is wrong in its input; "
        "`harness triage verdict ID by-design --why TEXT` records that it is no defect."
    )
    return {
        "id": rule.name,
        "name": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": full},
        "help": {"text": f"{full} {commands}", "markdown": f"{full}\n\n{commands}"},
        "defaultConfiguration": {"level": catalogue.level(rule.severity)},
        "properties": properties,
    }


def _invocation(campaigns: list[Campaign]) -> dict[str, Any]:
    """The campaigns as one invocation, with a notification for each target that did not run, and each part left out."""
    idle = [
        _notification("error" if state.able else "warning", f"{one.title}: target {name}: {state.words}")
        for one in campaigns
        for name, state in one.states().items()
        if not state.ran
    ]
    lacking = [_notification("note", f"{one.title}: {line}") for one in campaigns for line in not_driven(one.sessions)]
    return {"executionSuccessful": not idle, "toolExecutionNotifications": idle + lacking}


def _notification(level: str, words: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": plain(words, MOST_TEXT)}}


def _result(row: Row, index: int) -> dict[str, Any]:
    name = row.crash.id if row.crash else row.id
    result: dict[str, Any] = {
        "ruleId": row.rule.name,
        "ruleIndex": index,
        "level": catalogue.level(row.severity),
        "message": {"text": plain(f"{row.target}: {row.summary}. {row.why} Repeat with: {row.repeat}", MOST_TEXT)},
        "locations": [_location(f"crashes/{name}/{crashes.ABOUT}", ROOT, _line(row))],
        # GitHub goes by the first alone; the second says what it is made of.
        "partialFingerprints": {
            "primaryLocationLineHash": f"{finding_id(row.signature)}:1",
            "harnessSignature/v1": plain(row.signature),
        },
        "baselineState": _BASELINE.get(row.state, "unchanged"),
        "properties": _properties(row),
    }
    result["analysisTarget"] = _artifact(f"crashes/{name}/{crashes.INPUT}", ROOT)
    related = []
    if row.crash is None:
        related.append(_location(f"{row.seen[0].campaign}/findings/{row.id}/input", CAMPAIGNS, 0))
        result["analysisTarget"] = _artifact(f"{row.seen[0].campaign}/findings/{row.id}/input", CAMPAIGNS)
    if row.crash and ":" in row.crash.place:
        place, _, line = row.crash.place.rpartition(":")
        if line.isdigit():
            related.append(
                _location(place, PARSER, int(line)) | {"message": {"text": "where the parser panics or dies"}}
            )
    if row.defect:
        result["partialFingerprints"]["harnessDefect/v1"] = row.defect.name
        if row.crash is None or row.defect.places[0] != row.crash.place:
            place, _, line = row.defect.places[0].rpartition(":")
            words = {"text": plain(f"the cause of the defect {row.defect.name}: {row.defect.title}", MOST_TEXT)}
            related.append(_location(place, PARSER, int(line)) | {"message": words})
    if related:
        result["relatedLocations"] = [location | {"id": number} for number, location in enumerate(related, 1)]
    if row.seen:
        result["occurrenceCount"] = max(1, sum(one.count for one in row.seen))
    if suppression := _suppression(row):
        result["suppressions"] = [suppression]
    return result


def _artifact(uri: str, base: str) -> dict[str, Any]:
    return {"uri": quote(uri.encode("utf-8", "backslashreplace")), "uriBaseId": base}


def _location(uri: str, base: str, line: int) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": _artifact(uri, base)}
    if line:
        physical["region"] = {"startLine": line}
    return {"physicalLocation": physical}


def _line(row: Row) -> int:
    """The line of finding.toml that says what happens; 1 where the file is still to be written."""
    if row.crash is None:
        return 1
    lines = (row.crash.folder / crashes.ABOUT).read_text(encoding="utf-8").splitlines()
    return next((number for number, text in enumerate(lines, 1) if text.startswith("summary = ")), 1)


def _properties(row: Row) -> dict[str, Any]:
    found = row.crash.found if row.crash else {}
    about: dict[str, Any] = {
        "id": row.id,
        "target": row.target,
        "oracle": row.oracle,
        "kind": row.kind,
        "aspect": plain(row.aspect),
        "severity": row.severity,
        "state": row.state,
        "repeat": row.repeat,
    }
    if row.crash:
        about |= {name: found[name] for name in ("seed", "execution", "seconds", "size", "campaign") if name in found}
        about |= {"releases": list(row.crash.releases), "builds": list(row.crash.builds)}
    elif row.seen:
        stored = row.stored
        about |= {"seed": stored.seed, "execution": stored.execution, "seconds": stored.seconds, "size": stored.size}
        about |= {"parser": stored.parser}
    about |= record.named(row.defect) if row.defect else {}
    if row.compared_with:
        about["against"] = row.compared_with
    if row.seen:
        about["campaigns"] = sorted({one.campaign for one in row.seen})
        about["flaky"] = row.flaky
    return about


def _suppression(row: Row) -> dict[str, Any] | None:
    """The decision of a person: by the folder's own verdict, or by a rule for its like."""
    if row.state in (crashes.BY_DESIGN, crashes.DISPUTED) and row.crash is not None:
        why = row.crash.verdict
    elif row.state == RULED and row.verdict is not None:
        why = f"{row.verdict.verdict} by the rule {row.verdict.name}: {row.verdict.why}"
    else:
        return None
    # Without a status it counts as accepted.
    return {"kind": "external", "justification": plain(why, MOST_TEXT)}
