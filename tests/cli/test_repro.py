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
from harness.triage import reproducer
from tests.cli import running

SIGNATURE = "deserialize|differential|header.padding|accepted/newline"
NEWLINE = b"\3\0\0\0\0\0\0\0{}\n"
HALF = pack([("a", "BF16", (1,), b"xy")], None)


run = functools.partial(running.run, "repro")


@pytest.fixture
def filed(project: Path) -> str:
    crash = Crash(Finding.of_signature(SIGNATURE, "differential", "s"), status="open", why="w")
    crashes.file(crash, NEWLINE, "")
    return crash.id


def test_a_filed_finding_shows_on_every_build(filed: str):
    status, text = run(filed)
    assert status == 1
    assert text.startswith(f"{filed} on deserialize (11 bytes)\n")
    assert "0.8.0 (sancov)" in text
    assert "0.8.0-wheel (wheel)" in text
    assert f"reproduces on 0.8.0, 0.8.0-wheel: {SIGNATURE}" in text


def test_one_parser_alone(filed: str):
    status, text = run(filed, "--parser", "0.8.0-wheel")
    assert status == 1
    assert "sancov" not in text
    with pytest.raises(HarnessError, match=r"no parser 9\.9\.9"):
        run(filed, "--parser", "9.9.9")


def test_a_finding_that_is_gone_ends_with_0(filed: str, project: Path):
    (project / "crashes" / filed / crashes.INPUT).write_bytes(pack([], None))
    status, text = run(filed)
    assert (status, text.splitlines()[-1]) == (0, "does not reproduce")


def test_another_defect_is_not_this_one(filed: str, project: Path):
    (project / "crashes" / filed / crashes.INPUT).write_bytes(NEWLINE.replace(b"\n", b"\t"))
    status, text = run(filed, "--json")
    told = json.loads(text)
    assert (status, told["reproduces"]) == (0, False)
    signatures = {f["signature"] for parser in told["parsers"].values() for f in parser["findings"]}
    assert signatures == {SIGNATURE.replace("newline", "tab")}


def test_a_file_shows_any_finding(project: Path):
    (project / "half").write_bytes(HALF)
    assert run("half")[0] == 0
    status, text = run("half", "--target", "safe_open", "--json")
    told = json.loads(text)
    assert status == 1
    assert told["target"] == "safe_open"
    assert set(told["parsers"]) == {"0.8.0", "0.8.0-wheel"}
    for parser in told["parsers"].values():
        assert parser["outcome"] == "raise"
        assert parser["reproduces"] is True
    with pytest.raises(HarnessError, match="no target is called 'x'"):
        run("half", "--target", "x")


def test_the_judge_needs_no_parser(project: Path):
    (project / "half").write_bytes(HALF)
    status, text = run("half", "--target", "model")
    assert status == 0
    assert "the judge itself" in text


def test_what_is_no_file(project: Path):
    for name, message in (("missing", "no file and no finding"), ("build", "is a folder")):
        with pytest.raises(HarnessError, match=message) as caught:
            run(name)
        assert caught.value.exit_status == 2


def test_a_script_is_one_file_that_names_no_other(project: Path):
    crash = Crash(Finding.of_signature(SIGNATURE, "differential", "s"), status="open", why="w", releases=("0.8.0",))
    crashes.file(crash, NEWLINE, reproducer.write(crash, NEWLINE))
    status, text = run(crash.id, "--script")
    assert status == 0
    compile(text, "script.py", "exec")
    assert ("safetensors.deserialize(FILE)" in text, "_kit" in text, "input.safetensors" in text) == (
        True,
        False,
        False,
    )
    status, told = run(crash.id, "--script", "--json")
    assert json.loads(told) == {"id": crash.id, "script": text}
    (project / "alone").write_bytes(NEWLINE)
    with pytest.raises(HarnessError, match="belongs to no finding"):
        run(str(project / "alone"), "--script")
