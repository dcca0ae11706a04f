from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.findings.finding import Finding
from harness.format.encode import pack
from harness.format.judge import RULES
from harness.targets.huge.program import Step, encode
from tests.cli import running
from tests.test_foreign_files import FILES, GOOD

run = functools.partial(running.run, "explain")


def test_a_valid_file_is_laid_out(project: Path):
    (project / "file").write_bytes(pack([("weights", "F32", (2, 3), bytes(24))], {"format": "pt"}))
    status, text = run("file")
    assert status == 0
    assert "the format: accept" in text
    assert "[2, 3]  'weights'" in text
    assert "'format': 'pt'" in text
    status, text = run("file", "--json")
    told = json.loads(text)
    assert (status, told["verdict"], told["metadata"]) == (0, "accept", {"format": "pt"})
    assert told["tensors"] == [{"name": "weights", "dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}]


def test_what_is_wrong_is_marked_with_its_sentence(project: Path):
    (project / "file").write_bytes(b"\x0d\0\0\0\0\0\0\0" + b'{"a":0,"a":0}')
    status, text = run("file")
    assert status == 1
    assert f'the text says: "{RULES["header.duplicate-key"]}"' in text
    assert "the format: reject header.duplicate-key (tensor-name)" in text
    status, told = run("file", "--json")
    assert status == 1
    assert json.loads(told)["sentence"] == RULES["header.duplicate-key"]
    assert json.loads(told)["tensors"] == []
    row, mark = next((a, b) for a, b in zip(text.splitlines(), text.splitlines()[1:], strict=False) if "^" in b)
    assert row[mark.index("^") : mark.rindex("^") + 1] == '"a":0'


def test_a_finding_is_explained_by_its_id(project: Path):
    sig = "deserialize|differential|header.padding|accepted/newline"
    crash = Crash(Finding.of_signature(sig, "differential", "s"), status="open", why="w")
    crashes.file(crash, b"\3\0\0\0\0\0\0\0{}\n", "")
    status, text = run(crash.id)
    assert status == 1
    assert sig in text
    assert "}\\x0a" in text


def test_a_program_is_explained_in_words(project: Path):
    sig = "huge|time|time.open|tensors"
    crash = Crash(Finding.of_signature(sig, "huge", "s"), status="open", why="w")
    crashes.file(crash, encode((Step("tensors", 10_000),)), "")
    status, text = run(crash.id)
    assert status == 0
    assert "10,000 tensors of a few bytes" in text
    status, told = run(crash.id, "--json")
    assert (status, json.loads(told)["target"], json.loads(told)["program"]) == (0, "huge", text)


def test_a_file_is_explained_as_an_input_of_a_target(project: Path):
    (project / "program").write_bytes(encode((Step("tensors", 10_000),)))
    status, text = run("program", "--target", "huge")
    assert status == 0
    assert "10,000 tensors of a few bytes" in text
    assert json.loads(run("program", "--target", "huge", "--json")[1])["target"] == "huge"
    (project / "good").write_bytes(GOOD)
    status, text = run("good", "--target", "safe_open")
    assert status == 0
    assert "the format: accept" in text
    with pytest.raises(HarnessError, match="no target is called 'nonsense'"):
        run("good", "--target", "nonsense")


def test_a_giant_is_explained_by_its_header(project: Path):
    with (project / "giant").open("wb") as file:
        file.truncate(5 << 30)
    status, text = run("giant")
    assert status == 1
    assert "5,368,709,120 bytes" in text


def test_what_is_no_file(project: Path):
    with pytest.raises(HarnessError, match="no file and no finding"):
        run("missing")


def test_a_file_of_another_format_is_named(project: Path):
    (project / "model.safetensors").write_bytes(FILES["git-lfs-pointer"])
    status, text = run("model.safetensors")
    assert status == 1
    assert text.splitlines()[1] == "This is a Git LFS pointer; run git lfs pull"
    assert "length prefix" not in text
    status, told = run("model.safetensors", "--json")
    assert (status, json.loads(told)["foreign"]["kind"]) == (1, "git-lfs-pointer")
    (project / "good").write_bytes(GOOD)
    assert json.loads(run("good", "--json")[1])["foreign"] is None


def test_a_cut_file_shows_its_header(project: Path):
    (project / "model.safetensors").write_bytes(GOOD[:-1])
    status, text = run("model.safetensors")
    assert status == 1
    assert f"cut off: {len(GOOD) - 1} bytes of {len(GOOD)} are there" in text
    assert "length prefix" in text


def test_control_characters_of_a_name_are_escaped(project: Path):
    (project / "a\x1b[31m").write_bytes(GOOD)
    assert run("a\x1b[31m")[1].startswith("a\\x1b[31m: ")


def test_a_folder_leads_to_check(project: Path):
    with pytest.raises(HarnessError) as caught:
        run(".")
    assert "harness check" in caught.value.hint
