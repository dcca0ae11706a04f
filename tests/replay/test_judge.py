"""The full judgement, in this process, on the plain release."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import ModuleType

from harness.findings.signature import signature
from harness.format.encode import pack
from harness.replay.judge import isolated, judge_observation, judge_run, judgement_of
from harness.targets import base
from harness.targets.files.on_disk import OpenFile, judge_file, target_named

DEEP = [("a", "U8", (0, 8, 1 << 61), b"")]


def rules(target_name: str, module: ModuleType | None, data: bytes) -> set[str]:
    target = base.get(target_name)
    return {signature(target_name, f).partition("|")[2] for f in judge_run(target, target.open(module), data)}


def test_what_is_read_right_has_no_finding(safetensors: ModuleType):
    data = pack([("a", "F32", (2,), bytes(8)), ("b", "U8", (), b"x")], {"k": "v"})
    assert rules("deserialize", safetensors, data) == set()
    assert rules("safe_open", safetensors, data) == set()
    assert rules("model", None, data) == set()


def test_every_oracle_is_asked(safetensors: ModuleType):
    twice = b"\x0f\0\0\0\0\0\0\0" + b'{"a":[],"a":[]}'
    assert rules("deserialize", safetensors, twice) == set()
    metadata = b"\x1f\0\0\0\0\0\0\0" + b'{"__metadata__":{"":"","":""}} '
    assert "differential|header.duplicate-key|accepted/metadata-key" in rules("deserialize", safetensors, metadata)
    half = pack([("a", "BF16", (1,), b"xy")], None)
    assert any(rule.startswith("contract|raise|TypeError") for rule in rules("safe_open", safetensors, half))
    related = rules("deserialize", safetensors, pack(DEEP, None))
    assert any("metamorphic.dimension-order" in rule for rule in related)


def test_what_runs_leave_behind_is_asked_for_apart(safetensors: ModuleType):
    target = base.get("deserialize")
    honest = target.open(safetensors)
    kept: list[int] = []

    def leaky(data: bytes):
        kept.append(os.open("/dev/null", os.O_RDONLY))
        return honest(data)

    data = pack([("a", "U8", (2,), b"xy")], None)
    try:
        assert judge_observation(target, leaky, data, leaky(data), relations=False) == []
        (found,) = judge_observation(target, leaky, data, leaky(data), relations=False, leaks=True)
    finally:
        for descriptor in kept:
            os.close(descriptor)
    assert signature(target.name, found) == "deserialize|memory|leaks.descriptors|descriptors"


def test_only_files_are_judged_as_files():
    assert judgement_of(base.get("huge"), b"") is None
    assert judgement_of(base.get("model"), b"") is None
    found = judgement_of(base.get("deserialize"), b"")
    assert found is not None
    assert found.rule == "framing.length"


def test_a_death_is_told_apart_by_what_is_wrong_with_the_input():
    target = base.get("deserialize")
    aspects = {isolated(target, data, "crash", "SIGSEGV").aspect for data in (b"", pack([], None), bytes(8))}
    assert aspects == {"SIGSEGV/framing.length", "SIGSEGV/accept", "SIGSEGV/header.first-byte"}
    assert isolated(base.get("huge"), b"", "hang", "timeout").aspect == "timeout"


def test_a_death_that_is_another_implementations_has_one_name_whatever_the_input():
    target = base.get("paddle")
    ends = [isolated(target, data, "crash", base.UNCAUGHT).aspect for data in (b"", pack([], None), bytes(8))]
    assert ends == [base.UNCAUGHT] * 3
    assert isolated(target, b"", "crash", "SIGABRT").aspect == "SIGABRT/framing.length"
    assert isolated(target, b"", "crash", "SIGSEGV").aspect == "SIGSEGV/framing.length"
    assert isolated(target, b"", "memory", "allocation").aspect == "allocation/framing.length"


def test_a_giant_is_judged_and_opened_by_its_header(tmp_path: Path, safetensors: ModuleType):
    size = 5 << 30
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    path = tmp_path / "giant"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    judgement, head = judge_file(str(path))
    assert (judgement.verdict, len(head)) == ("accept", 8 + len(header))
    target = OpenFile()
    run = target.open(safetensors)
    observation = run(os.fsencode(path))
    assert observation[0] == "accept"
    assert target.check(os.fsencode(path), observation) == []
    with path.open("r+b") as file:
        file.truncate(8 + len(header) + size - 1)
    short = run(os.fsencode(path))
    assert short[0] == "reject"
    assert target.check(os.fsencode(path), short) == []
    assert judge_file(str(path))[0].rule == "layout.truncated"


def test_an_open_file_is_compared_with_the_judge(tmp_path: Path, safetensors: ModuleType):
    path = tmp_path / "file"
    target = OpenFile()
    run = target.open(safetensors)
    path.write_bytes(b"\x1f\0\0\0\0\0\0\0" + b'{"__metadata__":{"":"","":""}} ')
    findings = target.check(os.fsencode(path), run(os.fsencode(path)))
    assert [finding.rule for finding in findings] == ["header.duplicate-key"]
    path.write_bytes(pack(DEEP, None))
    assert target.check(os.fsencode(path), run(os.fsencode(path))) == []
    path.write_bytes(pack([("a", "U8", (1 << 61, 8, 0), b"")], None))
    findings = target.check(os.fsencode(path), run(os.fsencode(path)))
    assert [finding.rule for finding in findings] == ["refused"]


def test_it_is_named_but_not_listed():
    assert target_named("file").name == "file"
    assert "file" not in base.targets()
    assert target_named("model").name == "model"
