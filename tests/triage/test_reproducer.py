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
from harness.programs import scripts
from harness.programs.scripts import Call, Script
from harness.targets.base import Target
from harness.targets.files.deserialize import Deserialize
from harness.targets.huge.program import Step, encode
from harness.targets.registry import all_targets, get_target
from harness.triage import filing, reproducer
from tests.triage.reproducing import run

GOOD = pack([("a", "U8", (2,), b"xy")], {"k": "v"})


def crash_of(
    sig: str, *, oracle: str = "differential", summary: str = 'a \'summary\' \\ """ of it', release: str = "0.8.0"
) -> Crash:
    finding = Finding.of_signature(sig, oracle, summary)
    return Crash(
        finding, status=crashes.OPEN, why=finding.why, sentence=finding.sentence,
        releases=(release,), builds=("sancov", "wheel"),
    )  # fmt: skip


HUGE = encode((Step("tensors", 100), Step("big", 1 << 33)))
#: For scripts that read the tensors.
BIG = encode((Step("tensors", 100), Step("big", 1 << 28)))
BAD = b"\2" + bytes(7) + b"{]"


@pytest.mark.parametrize(
    ("sig", "oracle", "data", "expected"),
    [
        # The input is well read by 0.8.0: a reproducer of a defect it has not says so.
        ("deserialize|differential|layout.hole|accepted/start", "differential", BAD, 0),
        ("deserialize|differential|layout.hole|accepted/start", "differential", GOOD, 1),
        ("safe_open|differential|refused|Error while _", "differential", GOOD, 0),
        ("safe_open|differential|refused|Error while _", "differential", BAD, 1),
        # Refused in other words than the finding's.
        ("safe_open|differential|refused|another message", "differential", BAD, 2),
        ("deserialize|panic|panic|PanicException: x", "contract", GOOD, 0),
        ("safe_open|contract|raise|TypeError: x", "contract", GOOD, 0),
        ("safe_open|contract|raise|TypeError: data type _ not understood", "contract", pack([("a", "BF16", (1,), b"xy")], None), 1),
        ("safe_open|contract|raise|TypeError: other words", "contract", pack([("a", "BF16", (1,), b"xy")], None), 2),
        *(("deserialize|differential|misread|" + aspect, "differential", GOOD, 0) for aspect in ("dtype", "shape", "bytes", "names")),
        ("safe_open|differential|misread|offset-order", "differential", GOOD, 0),
        ("safe_open|differential|misread|metadata", "differential", GOOD, 0),
        ("deserialize|crash|crash|SIGSEGV/accept", "isolation", GOOD, 0),
        ("deserialize|hang|hang|timeout/accept", "isolation", GOOD, 0),
        ("safe_open|memory|memory|allocation/accept", "isolation", GOOD, 0),
        ("deserialize|differential|metamorphic.white-space|bytes", "metamorphic", GOOD, 0),
        ("deserialize|differential|metamorphic.white-space|refused:Error", "metamorphic", GOOD, 0),
        ("safe_open|roundtrip|metamorphic.serialized-again|bytes", "metamorphic", GOOD, 0),
        ("numpy|differential|agreement.deserialize-load|bytes", "agreement", GOOD, 0),
        ("numpy|differential|agreement.deserialize-load|outcome:accept/raise", "agreement", GOOD, 0),
        ("numpy|differential|agreement.deserialize-load|outcome:accept/raise", "agreement", pack([("a", "BF16", (1,), b"xy")], None), 1),
        *(("numpy|roundtrip|resaved." + one, "resaved", GOOD, 0) for one in (
            "argument|save: changed", "argument|save_file: changed", "forbidden|save_file: header.json", "content|save: bytes",
            "again|save: dtype", "unreadable|save: KeyError: _", "refused|save: no",
        )),
        *(
            (f"{target}|memory|leaks.{what}|{what}", "leaks", GOOD, 0)
            for target, what in (
                ("deserialize", "descriptors"), ("safe_open", "mappings"), ("deserialize", "objects"), ("safe_open", "blocks"), ("numpy", "bytes"),
            )
        ),
        ("huge|differential|layout.hole|accepted/big", "huge", HUGE, 1),
        ("huge|differential|refused|tensors/x", "huge", HUGE, 0),
        ("huge|panic|panic|PanicException: x", "contract", BIG, 0),
        ("huge|memory|memory.open|tensors", "huge", HUGE, 0),
        ("huge|crash|crash|SIGSEGV", "isolation", BIG, 0),
        # Linear on 0.8.0: twice the header takes about twice the time.
        ("huge|time|time.open|tensors", "huge", encode((Step("tensors", 20_000),)), 0),
    ],
)  # fmt: skip
def test_reproducers_tell_both_ways(
    project: Path, tmp_path: Path, wheel_parser: Parser, sig: str, oracle: str, data: bytes, expected: int
):
    crash = crash_of(sig, oracle=oracle)
    text = reproducer.write(crash, data, GOOD)
    assert not reproducer.needs_harness(text)
    # A header whose size is the point is long, however it is compressed.
    assert len(text.splitlines()) <= 80 or crash.rule.check == "time"
    folder = crashes.file(crash, data, text)
    status, output = run(folder, wheel_parser, tmp_path)
    assert status == expected, output
    assert "Traceback" not in output
    assert sorted(path.name for path in folder.iterdir()) == [crashes.ABOUT, crashes.INPUT, crashes.REPRODUCER]
    # In one file, far from the kit and the input, it says the same.
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / crashes.REPRODUCER).write_text(scripts.single(text, data))
    again = run(alone, wheel_parser, tmp_path)
    # Counts and seconds differ from run to run.
    assert (again[0], again[1].splitlines()[-1]) == (status, output.splitlines()[-1])


class Second(Deserialize):
    """A subject of files whose call is its own: it reads the last byte alone."""

    def script(self, data: bytes) -> Script:
        return Script(f"FILE = {data!r}", (Call("last", "ord(FILE[-1:])"),))


@pytest.mark.parametrize(
    ("rule", "check", "plain"),
    [
        ("layout.hole|accepted/start", "accepted", True),
        # It has one entry point, and measures nothing.
        ("agreement.deserialize-load|dtype", "agreement", False),
        ("time.open|tensors", "time", False),
    ],
)
def test_a_subject_of_files_brings_its_own_call(
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
    assert ("ord(FILE[-1:])" in text, reproducer.needs_harness(text)) == (plain, not plain)
    if plain:
        status, output = run(crashes.file(crash, GOOD, text), wheel_parser, tmp_path)
        assert status == 1, output


PROGRAMS = [target for target in all_targets().values() if target.vocabulary is not None]


@pytest.mark.parametrize("target", PROGRAMS, ids=lambda target: target.name)
@pytest.mark.parametrize(
    ("oracle", "sig", "check"),
    [
        ("contract", "contract|raise|load: KeyError: _", "raise"),
        ("contract", "panic|panic|load: PanicException: x", "panic"),
        ("isolation", "crash|crash|SIGSEGV/load", "death"),
        ("lifecycle", "differential|lifecycle.read|x", "ends"),
        ("roundtrip", "roundtrip|roundtrip.written|numpy: bytes/plain", "values"),
        ("roundtrip", "roundtrip|roundtrip.refused|numpy: x", "refused"),
        ("torch_roundtrip", "roundtrip|torch.answer|missing", "values"),
        ("parallel", "differential|refused|x", "refused-call"),
        ("device", "differential|device.accepted|x", "taken"),
    ],
)
def test_reproducers_of_programs_are_python_that_imports_what_it_names(
    target: Target, oracle: str, sig: str, check: str
):
    crash = crash_of(f"{target.name}|{sig}", oracle=oracle)
    assert crash.rule.check == check
    for data in list(target.seeds().values())[:6]:
        tree = ast.parse(reproducer.write(crash, data))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        assert len(names) == len(set(names))


def test_the_harness_own_judge_is_its_own_library(project: Path, tmp_path: Path):
    crash = crash_of("model|contract|raise|MemoryError: ", oracle="contract")
    folder = crashes.file(crash, GOOD, reproducer.write(crash, GOOD))
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
    assert (status, "shows: SafetensorError: " in output) == (1, True), output


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
    assert done.returncode == 2
    assert done.stderr.startswith("cannot tell: ModuleNotFoundError: No module named ")


def test_a_script_for_a_release_without_backends_names_none():
    words = get_target("slices").vocabulary
    assert words is not None
    data = words.encode([words.step("pread"), words.step("get_tensor")])
    sig = "slices|contract|raise|get_tensor: TypeError: x"
    assert 'backend="pread"' in reproducer.write(crash_of(sig, oracle="contract"), data)
    assert "backend" not in reproducer.write(crash_of(sig, oracle="contract", release="0.7.0"), data)


def test_a_long_input_is_read_beside_the_script_and_stands_in_a_single_file(
    project: Path, tmp_path: Path, wheel_parser: Parser
):
    data = pack([(f"tensor {number}", "U8", (1,), b"x") for number in range(50)])
    crash = crash_of("deserialize|differential|layout.hole|accepted/start")
    text = reproducer.write(crash, data)
    assert scripts.INPUT_LINE in text
    assert run(crashes.file(crash, data, text), wheel_parser, tmp_path)[0] == 1
    single = scripts.single(text, data)
    assert ("input.safetensors" in single, "_kit" in single) == (False, False)
    (tmp_path / crashes.REPRODUCER).write_text(single)
    assert run(tmp_path, wheel_parser, tmp_path)[0] == 1


def test_rewriting_leaves_what_a_person_wrote(project: Path):
    crash = crash_of("deserialize|differential|layout.hole|accepted/start")
    folder = crashes.file(crash, GOOD, "old")
    assert filing.rewrite(crashes.load(folder))
    written = (folder / crashes.REPRODUCER).read_text()
    assert "safetensors.deserialize(FILE)" in written
    (folder / crashes.REPRODUCER).write_text(f"{reproducer.BY_HAND}\n")
    assert not filing.rewrite(crashes.load(folder))
