"""Reproducers on the real parser, with no harness in sight: each tells both ways."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.findings import crashes, store
from harness.findings.crashes import Crash
from harness.findings.finding import Finding
from harness.format.encode import pack
from harness.parsers.registry import Parser
from harness.targets.base import Reader, Target
from harness.targets.files.deserialize import Deserialize
from harness.targets.huge.layout import build
from harness.targets.huge.program import Step, decode, encode
from harness.targets.registry import all_targets, get_target
from harness.triage import filing, reproducer
from tests.triage.reproducing import run

GOOD = pack([("a", "U8", (2,), b"xy")], {"k": "v"})


def crash_of(sig: str, *, oracle: str = "differential", summary: str = 'a \'summary\' \\ """ of it') -> Crash:
    finding = Finding.of_signature(sig, oracle, summary)
    return Crash(
        finding, status=crashes.OPEN, why=finding.why, sentence=finding.sentence,
        releases=("0.8.0",), builds=("sancov", "wheel"),
    )  # fmt: skip


HUGE = encode((Step("tensors", 100), Step("big", 1 << 33)))


@pytest.mark.parametrize(
    ("sig", "oracle", "data", "expected"),
    [
        # The input is well read by 0.8.0: a reproducer of a defect it has not says so.
        ("deserialize|differential|layout.hole|accepted/start", "differential", b"\2" + bytes(7) + b"{]", 0),
        ("deserialize|differential|layout.hole|accepted/start", "differential", GOOD, 1),
        ("safe_open|differential|refused|message", "differential", GOOD, 0),
        ("safe_open|differential|refused|message", "differential", b"\2" + bytes(7) + b"{]", 1),
        ("deserialize|panic|panic|PanicException: x", "contract", GOOD, 0),
        ("safe_open|contract|raise|TypeError: x", "contract", GOOD, 0),
        ("safe_open|contract|raise|TypeError: x", "contract", pack([("a", "BF16", (1,), b"xy")], None), 1),
        ("deserialize|differential|misread|bytes", "differential", GOOD, 0),
        ("safe_open|differential|misread|offset-order", "differential", GOOD, 0),
        ("deserialize|crash|crash|SIGSEGV/accept", "isolation", GOOD, 0),
        ("deserialize|hang|hang|timeout/accept", "isolation", GOOD, 0),
        ("safe_open|memory|memory|allocation/accept", "isolation", GOOD, 0),
        ("deserialize|differential|metamorphic.white-space|names", "metamorphic", GOOD, 0),
        ("safe_open|roundtrip|metamorphic.serialized-again|bytes", "metamorphic", GOOD, 0),
        *(
            (f"{target}|memory|leaks.{what}|{what}", "leaks", GOOD, 0)
            for target in ("deserialize", "safe_open")
            for what in ("descriptors", "mappings", "objects", "blocks", "bytes")
        ),
        ("huge|differential|layout.hole|accepted/big", "huge", HUGE, 1),
        ("huge|differential|refused|tensors/x", "huge", HUGE, 0),
        ("huge|panic|panic|PanicException: x", "contract", HUGE, 0),
        ("huge|memory|memory.open|tensors", "huge", HUGE, 0),
        ("huge|crash|crash|SIGSEGV", "isolation", HUGE, 0),
    ],
)
def test_reproducers_tell_both_ways(
    project: Path, tmp_path: Path, wheel_parser: Parser, sig: str, oracle: str, data: bytes, expected: int
):
    crash = crash_of(sig, oracle=oracle)
    folder = crashes.file(crash, data, reproducer.write(crash, data, "TypeError: data", GOOD))
    status, text = run(folder, wheel_parser, tmp_path)
    assert status == expected, text
    assert "what should" in text
    assert "Traceback" not in text
    assert sorted(path.name for path in folder.iterdir()) == [crashes.ABOUT, crashes.INPUT, crashes.REPRODUCER]


class Second(Deserialize):
    """A subject of files whose reader is its own: it reads the last byte alone."""

    def reader(self, crash: Crash, data: bytes) -> Reader:
        return Reader("def read(path):\n    return ord(path.read_bytes()[-1:]), None, None\n")


@pytest.mark.parametrize(
    ("rule", "check", "plain"),
    [
        ("layout.hole|accepted/start", "accepted", True),
        # Its reader has one entry point, and measures nothing.
        ("agreement.deserialize-load|dtype", "agreement", False),
        ("time.open|tensors", "time", False),
    ],
)
def test_a_subject_of_files_brings_its_own_reader(
    project: Path,
    tmp_path: Path,
    wheel_parser: Parser,
    monkeypatch: pytest.MonkeyPatch,
    rule: str,
    check: str,
    plain: bool,
):
    monkeypatch.setattr(reproducer, "get_target", lambda name: Second())
    oracle = {"accepted": "differential", "agreement": "agreement", "time": "huge"}[check]
    kind = "time" if check == "time" else "differential"
    crash = crash_of(f"second|{kind}|{rule}", oracle=oracle)
    assert crash.rule.check == check
    text = reproducer.write(crash, GOOD)
    assert ("read_bytes()[-1:]" in text, "harness.replay" in text) == (plain, not plain)
    if plain:
        for data, expected in ((GOOD, 1), (b"", 0)):
            status, output = run(crashes.file(crash, data, text), wheel_parser, tmp_path)
            assert status == expected, output
            assert ("accept (121, None, None)" in output) == bool(expected)


PROGRAMS = [target for target in all_targets().values() if target.vocabulary is not None]


@pytest.mark.parametrize("target", PROGRAMS, ids=lambda target: target.name)
@pytest.mark.parametrize(
    ("oracle", "sig", "check"),
    [
        ("contract", "contract|raise|load: KeyError: _", "raise"),
        ("contract", "panic|panic|load: PanicException: x", "panic"),
        ("isolation", "crash|crash|SIGSEGV/load", "death"),
        ("lifecycle", "differential|lifecycle.read|x", "ends"),
        ("roundtrip", "roundtrip|roundtrip.written|x", "values"),
        ("roundtrip", "roundtrip|roundtrip.refused|x", "refused"),
        ("parallel", "differential|refused|x", "refused-call"),
        ("device", "differential|device.accepted|x", "taken"),
    ],
)
def test_no_name_of_a_program_s_reproducer_is_taken_twice(target: Target, oracle: str, sig: str, check: str):
    """A script brings its own functions: of two of one name the later would be called by both."""
    crash = crash_of(f"{target.name}|{sig}", oracle=oracle)
    assert crash.rule.check == check
    for data in list(target.seeds().values())[:4]:
        tree = ast.parse(reproducer.write(crash, data))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        assert len(names) == len(set(names)) > 3


def test_a_slow_header_is_told_by_ratio(project: Path, tmp_path: Path, wheel_parser: Parser):
    # Linear on 0.8.0: twice the header takes twice the time.
    crash = crash_of("huge|time|time.open|tensors", oracle="huge")
    program = encode((Step("tensors", 20_000),))
    folder = crashes.file(crash, program, reproducer.write(crash, program))
    _, text = run(folder, wheel_parser, tmp_path)
    layout = build(decode(program))
    assert f"s of CPU for a header of {layout.header_size} bytes" in text
    assert "Traceback" not in text


def test_the_harness_own_judge_is_its_own_library(project: Path, tmp_path: Path):
    crash = crash_of("model|contract|raise|MemoryError: ", oracle="contract")
    folder = crashes.file(crash, GOOD, reproducer.write(crash, GOOD, "MemoryError: "))
    root = Path(filing.__file__).parents[2]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, str(folder / crashes.REPRODUCER)], env=environment, check=False)
    assert done.returncode == 0


def test_a_part_that_is_refused_has_a_reproducer_that_needs_no_harness(
    project: Path, tmp_path: Path, wheel_parser: Parser
):
    words = get_target("parallel").vocabulary
    assert words is not None
    program = words.encode([words.step("tensor", 0, 3), words.step("columns", 0, 3, 1)])  # two rows, three ranks
    finding = Finding.of_signature("parallel|differential|refused|empty-at-end", "parallel", "as found")
    store.add(project / "campaign", finding, program, parser=wheel_parser.name, seed=1)
    (stored,) = store.findings(project / "campaign")
    crash = filing.file_finding(stored, project / "campaign", shrink=False, say=lambda _: None)
    assert crash is not None
    status, output = run(crash.folder, wheel_parser, tmp_path)
    assert (status, "should be float32 [0, 3]" in output) == (1, True), output


@pytest.mark.parametrize(
    "sig",
    ["deserialize|differential|layout.hole|accepted/start", "slices|differential|numpy.get_slice|shape/odd"],
)
def test_a_reproducer_without_the_library_cannot_tell(sig: str, tmp_path: Path):
    crash = crash_of(sig, oracle="numpy" if sig.startswith("slices") else "differential")
    data = get_target("slices").seeds()["odd"] if sig.startswith("slices") else GOOD
    folder = crashes.file(crash, data, reproducer.write(crash, data), root=tmp_path)
    done = subprocess.run(
        [sys.executable, "-S", str(folder / crashes.REPRODUCER)],  # no site: the standard library alone
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "cannot tell: there is no module safetensors\n"), done.stderr
