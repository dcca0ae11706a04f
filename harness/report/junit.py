"""Campaigns, or the filed findings, as JUnit XML: a suite for each.

Each target is a case: skipped if it is not installed, an error if it did not run for another reason, or if the harness itself
failed. Each finding is a case: a failure if it
is new, skipped if it is open or not new against another build, passed if it is decided. Properties name its defect.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from harness.findings import crashes
from harness.report import record
from harness.report.drives import Drive, not_driven
from harness.report.gather import NEW, Campaign, Row
from harness.report.text import plain

MOST_TEXT = 4000


def junit(rows: Iterable[Row], campaigns: Iterable[Campaign] = ()) -> str:
    """The XML: one suite per campaign with its findings; without campaigns, one suite of the filed findings."""
    every = list(rows)
    root = ET.Element("testsuites", name="safetensors-harness")
    chosen = list(campaigns)
    for campaign in chosen:
        seconds = campaign.total("seconds")
        suite = ET.SubElement(root, "testsuite", name=plain(campaign.name), time=f"{seconds:.3f}")
        if campaign.sessions and (started := campaign.sessions[0].get("started")):
            suite.set("timestamp", plain(str(started)))
        if lines := not_driven(campaign.sessions):
            told = plain(" ".join(lines), MOST_TEXT)
            ET.SubElement(ET.SubElement(suite, "properties"), "property", name="not driven", value=told)
        for name, drive in campaign.drives().items():
            _target(suite, name, drive)
        for row in every:
            if any(one.campaign == campaign.name for one in row.seen):
                _finding(suite, row)
        _count(suite)
    if not chosen:
        suite = ET.SubElement(root, "testsuite", name="crashes", time="0")
        for row in every:
            _finding(suite, row)
        _count(suite)
    _count(root)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _target(suite: ET.Element, name: str, drive: Drive) -> None:
    seconds = drive.sums["seconds"]
    case = ET.SubElement(suite, "testcase", classname="target", name=plain(name), time=f"{seconds:.3f}")
    state = drive.state
    if not state.ran:
        _told(case, "error" if state.able else "skipped", state.name, state.words, state.reason)
    elif defects := int(drive.sums["defects"]):
        words = f"the harness itself failed on {defects} inputs"
        _told(case, "error", "defect of the harness", words, f"{words}; see log/*-defect.txt in the campaign's folder")
    figures = {**drive.sums, **drive.largest}
    ET.SubElement(case, "system-out").text = ", ".join(f"{key}: {value:g}" for key, value in figures.items())


def _finding(suite: ET.Element, row: Row) -> None:
    owner = plain(f"finding.{row.target}")
    case = ET.SubElement(suite, "testcase", classname=owner, name=plain(row.id), time="0")
    words = f"{row.target}: {row.summary}"
    if row.defect:
        properties = ET.SubElement(case, "properties")
        for name, value in record.named(row.defect).items():
            ET.SubElement(properties, "property", name=name, value=plain(value))
    if row.state == NEW:
        more = f"{row.why}\nSignature: {row.signature}\nSeverity: {row.severity}\nRepeat with: {row.repeat}"
        _told(case, "failure", row.kind, words, f"{words}\n{more}" + ("\nFlaky." if row.flaky else ""))
    elif row.state == crashes.OPEN:
        _told(case, "skipped", "", f"known and open: {words}", "")
    elif row.elsewhere:
        _told(case, "skipped", "", f"not new, it {row.elsewhere}: {words}", "")
    else:
        why = f"{row.verdict.verdict} by the rule {row.verdict.name}" if row.verdict else f"{row.state}: {words}"
        ET.SubElement(case, "system-out").text = plain(why, MOST_TEXT)


def _told(case: ET.Element, tag: str, kind: str, message: str, text: str) -> None:
    element = ET.SubElement(case, tag, message=plain(message, MOST_TEXT))
    if kind:
        element.set("type", plain(kind))
    if text:
        element.text = "\n".join(plain(line, MOST_TEXT) for line in text.split("\n"))


def _count(element: ET.Element) -> None:
    """Set the attributes that sum up the cases below."""
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(case.find(tag) is not None for case in cases)))
