"""The full judgement, in this process, on the plain release."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import ModuleType

import pytest

from harness.findings.finding import Finding
from harness.format.encode import pack
from harness.oracles import contract, leaks
from harness.oracles.oracle import Execution, oracle
from harness.replay.judge import (
    UndeclaredRuleError,
    ask,
    death,
    judge_observation,
    judge_run,
    judgement_of,
    leaks_of_program,
)
from harness.targets.base import UNCAUGHT
from harness.targets.files.model import Model
from harness.targets.files.on_disk import OpenFile, against_header, judge_file
from harness.targets.registry import all_targets, get_target

DEEP = [("a", "U8", (0, 8, 1 << 61), b"")]


def rules(target_name: str, module: ModuleType | None, data: bytes) -> set[str]:
    target = get_target(target_name)
    return {f.signature.partition("|")[2] for f in judge_run(target, target.open(module), data)}


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
    target = get_target("deserialize")
    honest = target.open(safetensors)
    kept: list[int] = []

    def leaky(data: bytes):
        kept.append(os.open("/dev/null", os.O_RDONLY))
        return honest(data)

    data = pack([("a", "U8", (2,), b"xy")], None)
    try:
        assert judge_observation(target, leaky, data, leaky(data), relations=False) == []
        (found,) = judge_observation(target, leaky, data, leaky(data), relations=False, leaking=True)
    finally:
        for descriptor in kept:
            os.close(descriptor)
    assert found.signature == "deserialize|memory|leaks.descriptors|descriptors"


@pytest.mark.parametrize(("slow", "leaks"), [(0.0, ["slices|memory|leaks.objects|objects"]), (0.06, [])])
def test_a_program_is_asked_for_leaks_unless_it_is_slow(safetensors: ModuleType, slow: float, leaks: list[str]):
    target, kept = get_target("slices"), list[list[int]]()
    honest, data = target.open(safetensors), target.seeds()["whole"]

    def leaky(data: bytes):
        kept.append([])
        ends = time.process_time() + slow
        while time.process_time() < ends:
            pass
        return honest(data)

    assert [one.signature for one in leaks_of_program(target, leaky, data, leaky(data))] == leaks


def test_only_files_are_judged_as_files():
    assert judgement_of(get_target("huge"), b"") is None
    assert judgement_of(get_target("model"), b"") is None
    found = judgement_of(get_target("deserialize"), b"")
    assert found is not None
    assert found.rule == "framing.length"


def test_a_death_is_told_apart_by_what_is_wrong_with_the_input():
    target = get_target("deserialize")
    aspects = {death(target, data, "crash", "SIGSEGV").aspect for data in (b"", pack([], None), bytes(8))}
    assert aspects == {"SIGSEGV/framing.length", "SIGSEGV/accept", "SIGSEGV/header.first-byte"}
    assert death(get_target("huge"), b"", "hang", "timeout").aspect == "timeout"


def test_a_death_that_is_another_implementations_has_one_name_whatever_the_input():
    target = get_target("paddle")
    ends = [death(target, data, "crash", UNCAUGHT).aspect for data in (b"", pack([], None), bytes(8))]
    assert ends == [UNCAUGHT] * 3
    assert death(target, b"", "crash", "SIGABRT").aspect == "SIGABRT/framing.length"
    assert death(target, b"", "crash", "SIGSEGV").aspect == "SIGSEGV/framing.length"
    assert death(target, b"", "memory", "allocation").aspect == "allocation/framing.length"


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
    assert against_header(Execution(os.fsencode(path), observation)) == []
    with path.open("r+b") as file:
        file.truncate(8 + len(header) + size - 1)
    short = run(os.fsencode(path))
    assert short[0] == "reject"
    assert against_header(Execution(os.fsencode(path), short)) == []
    assert judge_file(str(path))[0].rule == "layout.truncated"


def test_an_open_file_is_compared_with_the_judge(tmp_path: Path, safetensors: ModuleType):
    path = tmp_path / "file"
    target = OpenFile()
    run = target.open(safetensors)

    def judged() -> list[Finding]:
        return against_header(Execution(os.fsencode(path), run(os.fsencode(path))))

    path.write_bytes(b"\x1f\0\0\0\0\0\0\0" + b'{"__metadata__":{"":"","":""}} ')
    findings = judged()
    assert [finding.rule.name for finding in findings] == ["header.duplicate-key"]
    path.write_bytes(pack(DEEP, None))
    assert judged() == []
    path.write_bytes(pack([("a", "U8", (1 << 61, 8, 0), b"")], None))
    findings = judged()
    assert [finding.rule.name for finding in findings] == ["refused"]


def test_it_is_named_but_not_listed():
    assert get_target("file").name == "file"
    assert "file" not in all_targets()
    assert get_target("model").name == "model"


def test_an_oracle_reports_only_what_it_declares():
    @oracle(contract.PANICKED, leaks.LEAKS)
    def careless(execution: Execution) -> list[Finding]:
        return [Finding(reported[execution.data], "aspect", "summary")]

    reported = {b"own": contract.PANICKED, b"member": leaks.LEAKS.member("bytes"), b"another": contract.RAISED}

    class Careless(Model):
        name, oracles = "careless", (careless,)

    for data in (b"own", b"member"):
        execution = Execution(data, ("accept", "", None))
        assert [found.rule for found in ask(careless, execution)] == [reported[data]]
    with pytest.raises(
        UndeclaredRuleError, match=r"careless reported the rule 'raise', which it does not declare"
    ) as caught:
        judge_run(Careless(), Careless().open(None), b"another")
    assert "@oracle(...)" in caught.value.hint


def test_findings_are_on_their_target_and_come_with_the_file_that_they_are_about(safetensors: ModuleType):
    target = get_target("deserialize")
    run = target.open(safetensors)
    data = pack(DEEP, None)
    variants: dict[Finding, bytes] = {}
    found = judge_observation(target, run, data, run(data), variants=variants)
    assert {finding.target for finding in found} == {"deserialize"}
    related = {finding for finding in found if finding.oracle == "metamorphic"}
    assert related == variants.keys()
    for finding, other in variants.items():
        assert finding.aspect.startswith("refused:")
        assert other != data
        assert run(other)[0] == "reject"
