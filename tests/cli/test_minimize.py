from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.format.encode import pack
from tests.cli import running

TAB = "deserialize|differential|header.padding|accepted/tab"


def padded(pad: bytes) -> bytes:
    header = pack([("weights", "F32", (2,), bytes(8))], {"format": "pt"})
    size = int.from_bytes(header[:8], "little")
    text = header[8 : 8 + size].rstrip() + pad
    return len(text).to_bytes(8, "little") + text + header[8 + size :]


run = functools.partial(running.run, "minimize")


def test_a_file_is_left_alone_and_the_small_one_put_beside_it(project: Path):
    data = padded(b" \n")
    (project / "file").write_bytes(data)
    status, text = run("file")
    assert status == 1
    assert text.startswith(f"{len(data)} -> 11 bytes: file.min\n")
    assert (project / "file").read_bytes() == data
    assert (project / "file.min").read_bytes() == b"\3\0\0\0\0\0\0\0{}\n"


def test_a_second_run_changes_nothing(project: Path):
    (project / "file").write_bytes(padded(b"\t"))
    run("file", "--signature", TAB, "--output", "once", "--parser", "0.8.0-wheel")
    status, text = run("once", "--output", "twice", "--json")
    told = json.loads(text)
    assert status == 1
    assert (told["before"], told["after"], told["output"], told["signature"]) == (11, 11, "twice", TAB)
    assert (project / "once").read_bytes() == (project / "twice").read_bytes() == b"\3\0\0\0\0\0\0\0{}\t"


def test_what_shows_nothing_cannot_be_minimised(project: Path):
    (project / "file").write_bytes(pack([], None))
    with pytest.raises(HarnessError, match="it shows no finding at all"):
        run("file")
    (project / "file").write_bytes(padded(b"\n"))
    with pytest.raises(HarnessError, match=r"does not show deserialize.*tab.*; it shows deserialize.*newline"):
        run("file", "--signature", TAB)
    assert not (project / "file.min").exists()
