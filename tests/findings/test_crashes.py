from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.findings import crashes, toml
from harness.findings.crashes import BY_DESIGN, OPEN, Crash
from harness.findings.finding import Finding
from harness.targets import known_findings

SIGNATURE = "deserialize|differential|header.padding|accepted/newline"
CRASH = Crash(
    Finding.of_signature(SIGNATURE, "differential", 'a "quoted" \\ line\nand another, with \x00\x7f and é'),
    status=OPEN,
    why="because",
    sentence="The header data MAY be trailing padded with whitespace (0x20).",
    releases=("0.7.0", "0.8.0"),
    builds=("sancov", "wheel"),
    found={"campaign": "main", "seed": 3, "seconds": 0.25, "size": 10},
)


def test_what_is_filed_is_read_back(project: Path):
    folder = crashes.file(CRASH, b"input", "# reproducer\n")
    assert folder == project / "crashes" / CRASH.id
    again = crashes.load(folder)
    assert replace(again, folder=Path(), repeat="") == replace(CRASH, severity="leniency")
    assert again.repeat == f"harness repro {CRASH.id}"
    assert again.data() == b"input"
    assert (folder / crashes.REPRODUCER).read_text() == "# reproducer\n"
    assert [crash.id for crash in crashes.crashes()] == [CRASH.id]


def test_a_finding_of_an_older_python_says_why_it_cannot_show(project: Path):
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert CRASH.cannot_show() == replace(CRASH, newest_python=here).cannot_show() == ""
    older = crashes.load(crashes.file(replace(CRASH, newest_python="3.9"), b"input", "# reproducer\n"))
    assert older.cannot_show() == f"CPython 3.9 is the newest that shows it; this is {here}"


def test_a_sanitizers_report_is_kept_beside_it_until_there_is_another(project: Path):
    folder = crashes.file(CRASH, b"input", "# reproducer\n", report="ERROR: AddressSanitizer: one\n")
    crashes.file(CRASH, b"inp", "# reproducer\n")
    assert (folder / crashes.REPORT).read_text() == "ERROR: AddressSanitizer: one\n"
    assert (folder / crashes.INPUT).read_bytes() == b"inp"


def test_a_filed_signature_is_known(project: Path):
    assert known_findings.known(SIGNATURE) is None
    folder = crashes.file(CRASH, b"input", "")
    assert known_findings.known(SIGNATURE) == CRASH.id
    assert known_findings.is_open(SIGNATURE)
    crashes.write_about(replace(CRASH, status=BY_DESIGN, verdict="so it is"), folder)
    assert known_findings.known(SIGNATURE) == CRASH.id
    assert not known_findings.is_open(SIGNATURE)
    assert crashes.load(folder).verdict == "so it is"


def test_a_folder_without_its_description_is_not_listed(project: Path):
    (crashes.file(CRASH, b"input", "") / crashes.ABOUT).unlink()
    assert crashes.crashes() == []


@pytest.mark.parametrize("cut", [10, 60, 150, 250, 330])
def test_a_truncated_description_names_file_and_line(project: Path, cut: int):
    folder = crashes.file(CRASH, b"input", "")
    text = (folder / crashes.ABOUT).read_text()
    (folder / crashes.ABOUT).write_text(text[:cut])
    with pytest.raises(HarnessError, match=r"finding\.toml (is damaged|ends at line \d).*") as caught:
        crashes.crashes()
    assert "line" in str(caught.value)
    assert str(folder) in str(caught.value)
    assert caught.value.exit_status == 2
    assert (folder / crashes.INPUT).read_bytes() == b"input"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('status = "open"', 'status = "nice"', "'nice' is none of open, fixed, by-design"),
        ("accepted/newline", "accepted/tab", "the signature belongs to header.padding-"),
        ("deserialize|differential|", "", "not a signature"),
        (f'id = "{CRASH.id}"', 'id = "x"', "the file says x"),
        ('why = "because"', "why = 3", "without the text field 'why'"),
        ('why = "because"', 'why = "because"\nnewest_python = "old"', "'old' is no version such as 3.11"),
    ],
)
def test_a_description_that_contradicts_itself_is_an_error(project: Path, old: str, new: str, message: str):
    folder = crashes.file(CRASH, b"input", "")
    text = (folder / crashes.ABOUT).read_text()
    assert old in text
    (folder / crashes.ABOUT).write_text(text.replace(old, new))
    with pytest.raises(HarnessError, match=message):
        crashes.load(folder)


SCALARS = (
    st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
)
PLAIN = SCALARS | st.lists(st.text(), max_size=3)
KEYS = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)


@given(st.dictionaries(KEYS, PLAIN | st.dictionaries(KEYS, PLAIN, max_size=3), max_size=5))
def test_toml_is_read_back_as_written(table: dict):
    assert tomllib.loads(toml.dumps(table)) == table


def test_lone_surrogates_survive_as_escapes():
    assert tomllib.loads(toml.dumps({"name": "a\ud800b"})) == {"name": "a\\ud800b"}
