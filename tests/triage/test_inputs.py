from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings import crashes, store
from harness.findings.crashes import Crash
from harness.findings.finding import Finding
from harness.findings.signature import finding_id
from harness.triage import inputs
from harness.triage.inputs import resolve

NEWLINE = "deserialize|differential|header.padding|accepted/newline"
TAB = "deserialize|differential|header.padding|accepted/tab"


def campaign(project: Path, name: str, sig: str, data: bytes) -> Path:
    folder = project / "build" / "campaigns" / name
    store.add(folder, Finding.of_signature(sig, "differential", "s"), data, parser="0.8.0", seed=1, execution=1)
    (folder / "campaign.json").write_text(json.dumps({}))
    return folder


def filed(sig: str, data: bytes) -> Path:
    crash = Crash(Finding.of_signature(sig, "differential", "s"), status="open", why="w")
    return crashes.file(crash, data, "")


def test_a_file_is_just_a_file(project: Path):
    (project / "a.bin").write_bytes(b"abc")
    named = resolve("a.bin")
    assert (named.data(), named.id, named.target, named.signature) == (b"abc", "", "", "")


def test_an_id_is_looked_up_in_crashes_then_in_campaigns(project: Path):
    campaign(project, "one", NEWLINE, b"campaign")
    named = resolve(finding_id(NEWLINE))
    assert (named.data(), named.target, named.signature, named.parser) == (b"campaign", "deserialize", NEWLINE, "0.8.0")
    filed(NEWLINE, b"filed")
    assert resolve(finding_id(NEWLINE)).data() == b"filed"


def test_the_latest_campaign_comes_first(project: Path):
    campaign(project, "new", NEWLINE, b"new")
    old = campaign(project, "old", NEWLINE, b"old")
    os.utime(old / "campaign.json", (1, 1))
    assert resolve(finding_id(NEWLINE)).data() == b"new"


def test_the_beginning_of_an_id_will_do_when_it_is_the_only_one(project: Path):
    filed(NEWLINE, b"newline")
    assert resolve("header.pad").data() == b"newline"
    filed(TAB, b"tab")
    with pytest.raises(HarnessError, match=r"could be header\.padding-.*, header\.padding-"):
        resolve("header.pad")
    assert resolve(finding_id(TAB)[:-1]).data() == b"tab"


def test_folder_and_input_file_of_a_finding_know_what_it_is(project: Path):
    folder = filed(NEWLINE, b"filed")
    stored = campaign(project, "one", TAB, b"campaign") / "findings" / finding_id(TAB)
    for place in (folder, folder / crashes.INPUT):
        assert resolve(str(place)).signature == NEWLINE
    for place in (stored, stored / store.INPUT):
        assert resolve(str(place)).signature == TAB
    assert resolve(str(folder / crashes.ABOUT)).signature == ""


def test_nothing_of_that_name(project: Path):
    with pytest.raises(HarnessError, match=r"no file and no finding is called .header\.x") as caught:
        resolve("header.x")
    assert "harness findings" in caught.value.hint
    with pytest.raises(HarnessError, match="No such file"):
        resolve("missing/file.bin")
    with pytest.raises(HarnessError, match="is a folder"):
        resolve(".")


def test_files_that_are_none_are_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    for name, message in (
        ("fifo", "no regular file"),
        (".", "is a folder"),
        ("missing", "No such file"),
        ("nul\0", "null (byte|character)"),
        ("x" * 300, "too long"),
    ):
        with pytest.raises(HarnessError, match=message) as caught:
            inputs.read_whole(tmp_path / name)
        assert caught.value.exit_status == 2
        assert caught.value.hint
    with pytest.raises(HarnessError, match="no regular file"):
        inputs.size_of(Path("/dev/zero"))


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path):
    path = tmp_path / "file"
    with pytest.raises(HarnessError, match="No such file"):
        inputs.read_whole(path)
    path.write_bytes(b"abcdef")
    assert inputs.read_whole(path) == b"abcdef"


def test_a_sparse_giant_is_not_read(tmp_path: Path):
    path = tmp_path / "giant"
    with path.open("wb") as file:
        file.truncate(5 << 30)
    with pytest.raises(HarnessError, match="has 5368709120 bytes") as caught:
        inputs.read_whole(path)
    assert "harness check" in caught.value.hint
