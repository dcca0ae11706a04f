"""Campaigns, or what is filed, as JUnit XML: a suite for each, which every CI system can read and show.

A case for each target that was driven (an error where it was left out, or where the harness itself failed on an input)
and for each finding: a failure where it is new, skipped where it is known and open or not new against another build, passed where it is decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from harness.findings import crashes
from harness.report.drives import Drive
from harness.report.gather import NEW, Campaign, Row
from harness.report.text import plain

MOST_TEXT = 4000


def junit(rows: Iterable[Row], campaigns: Iterable[Campaign] = ()) -> str:
    """The XML. Without campaigns it is one suite of what is filed; with them, one suite for what each of them met."""
    every = list(rows)
    root = ET.Element("testsuites", name="safetensors-harness")
    chosen = list(campaigns)
    for campaign in chosen:
        seconds = campaign.total("seconds")
        suite = ET.SubElement(root, "testsuite", name=plain(campaign.name), time=f"{seconds:.3f}")
        if campaign.sessions and (started := campaign.sessions[0].get("started")):
            suite.set("timestamp", plain(str(started)))
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
    if drive.left_out:
        _told(case, "error", "left out", drive.left_out, drive.left_out)
    elif defects := int(drive.sums["defects"]):
        words = f"the harness itself failed on {defects} inputs"
        _told(case, "error", "defect of the harness", words, f"{words}; see log/*-defect.txt in the campaign's folder")
    figures = {**drive.sums, **drive.largest}
    ET.SubElement(case, "system-out").text = ", ".join(f"{key}: {value:g}" for key, value in figures.items())


def _finding(suite: ET.Element, row: Row) -> None:
    case = ET.SubElement(suite, "testcase", classname=plain(f"finding.{row.target}"), name=plain(row.id), time="0")
    words = f"{row.target}: {row.summary}"
    if row.state == NEW:
        more = f"{row.why}\nSignature: {row.signature}\nSeverity: {row.severity}\nRepeat with: {row.repeat}"
        _told(case, "failure", row.kind, words, f"{words}\n{more}" + ("\nFlaky." if row.flaky else ""))
    elif row.state == crashes.OPEN:
        _told(case, "skipped", "", f"known and open: {words}", "")
    elif row.elsewhere:
        _told(case, "skipped", "", f"not new, it {row.elsewhere}: {words}", "")
    else:
        # What was decided passes; the reason is there for whoever asks.
        why = f"{row.verdict.verdict} by the rule {row.verdict.name}" if row.verdict else f"{row.state}: {words}"
        ET.SubElement(case, "system-out").text = plain(why, MOST_TEXT)


def _told(case: ET.Element, tag: str, kind: str, message: str, text: str) -> None:
    element = ET.SubElement(case, tag, message=plain(message, MOST_TEXT))
    if kind:
        element.set("type", plain(kind))
    if text:
        element.text = "\n".join(plain(line, MOST_TEXT) for line in text.split("\n"))


def _count(element: ET.Element) -> None:
    """The attributes that sum up what is below."""
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(case.find(tag) is not None for case in cases)))
