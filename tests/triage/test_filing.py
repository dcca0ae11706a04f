"""From a campaign's finding to a folder in crashes/, on the real parser; then its reproducer, with no harness in sight."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings import crashes, store
from harness.findings.crashes import Crash
from harness.findings.finding import Finding
from harness.findings.signature import finding_id, parts
from harness.format.encode import pack
from harness.parsers.registry import Parser
from harness.targets import base, known_findings
from harness.targets.base import Target
from harness.targets.huge.layout import build
from harness.targets.huge.program import Step, decode, encode
from harness.targets.registry import all_targets, get_target
from harness.triage import account, filing, reproducer
from tests.waiting import LONG

TWICE = b"\x3a\0\0\0\0\0\0\0" + b'{"__metadata__":{"format":"pt","key":"one","key":"two"}}  '
DUPLICATE = "deserialize|differential|header.duplicate-key|accepted/metadata-key"


def stored(campaign: Path, sig: str, data: bytes) -> store.Stored:
    found = parts(sig)
    store.add_finding(
        campaign,
        id=finding_id(sig),
        target=found.target,
        oracle="differential",
        kind=found.kind,
        rule=found.rule,
        aspect=found.aspect,
        signature=sig,
        summary="as the worker saw it",
        data=data,
        parser="0.8.0",
        seed=1,
        execution=5,
        seconds=0.1,
    )
    return next(one for one in store.findings(campaign) if one.signature == sig)


def run(folder: Path, parser: Parser, tmp_path: Path) -> tuple[int, str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(parser.site)}
    done = subprocess.run(
        [sys.executable, str(folder / crashes.REPRODUCER)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=LONG,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_finding_is_repeated_minimised_and_filed(project: Path, tmp_path: Path, wheel_parser: Parser):
    said: list[str] = []
    finding = stored(project / "campaign", DUPLICATE, TWICE)
    crash = filing.file_finding(finding, project / "campaign", say=said.append)
    assert crash is not None
    assert crash.data() == b"\x1e\0\0\0\0\0\0\0" + b'{"__metadata__":{"":"","":""}}'
    assert crash.status == "open"
    assert crash.builds == ("sancov", "wheel")
    assert crash.releases == ("0.8.0",)
    assert crash.sentence == "Duplicate keys are disallowed"
    assert (crash.found["minimised_from"], crash.found["campaign"]) == (len(TWICE), "campaign")
    assert crash.found["size"] == len(crash.data()) < len(TWICE)
    assert said == [f"{crash.id}: filed ({len(TWICE)} -> {len(crash.data())} bytes; 0.8.0, 0.8.0-wheel)"]
    assert known_findings.known(DUPLICATE) == crash.id
    (after,) = store.findings(project / "campaign")
    assert after.data() == crash.data()
    assert after.about["reproduces"] == ["0.8.0", "0.8.0-wheel"]
    status, text = run(crash.folder, wheel_parser, tmp_path)
    assert status == 1, text
    assert "what happens: accept" in text
    assert "Duplicate keys are disallowed" in text


BACKWARDS = "slices|panic|panic|get_slice: PanicException: attempt to subtract with overflow"


def test_a_program_is_shrunk_filed_and_reproduced_and_what_users_see_of_it_too(
    project: Path, tmp_path: Path, wheel_parser: Parser
):
    words = base.vocabulary(get_target("slices"))
    assert words is not None
    step = words.step
    program = words.encode(
        [
            step("tensor", 5, 16),
            step("get_tensor"),
            step("index"),
            step("range", 4, 1),
            step("int", 0),
            step("get_shape"),
        ]
    )
    finding = stored(project / "campaign", BACKWARDS, program)
    crash = filing.file_finding(finding, project / "campaign", say=lambda _: None)
    assert crash is not None
    assert crash.builds == ("sancov",)
    assert crash.instead.startswith("0.8.0-wheel: raise: SystemError: Negative size")
    assert base.explain(get_target("slices"), crash.data()).splitlines()[2:] == ["    file.get_slice('a')[slice(1, 0)]"]
    assert run(crash.folder, wheel_parser, tmp_path)[0] == 0
    (other,) = [one for one in store.findings(project / "campaign") if one.id != finding.id]
    assert other.parser == wheel_parser.name
    users = filing.file_finding(other, project / "campaign", say=lambda _: None)
    assert users is not None
    assert users.builds == ("wheel",)
    status, text = run(users.folder, wheel_parser, tmp_path)
    assert status == 1, text
    assert "file.get_slice('a')[slice(1, 0)]" in text


def test_a_finding_that_does_not_show_again_is_left(project: Path):
    said: list[str] = []
    finding = stored(project / "campaign", DUPLICATE, b"nothing")
    assert filing.file_finding(finding, project / "campaign", say=said.append) is None
    assert said == [f"{finding.id}: does not show again on any build; left in the campaign"]
    assert crashes.crashes() == []
    assert store.findings(project / "campaign")[0].data() == b"nothing"


def test_a_smaller_input_takes_the_place_of_a_filed_one(project: Path):
    finding = stored(project / "campaign", DUPLICATE, TWICE)
    crash = filing.file_finding(finding, project / "campaign", shrink=False, say=lambda text: None)
    assert crash is not None
    assert crash.data() == TWICE
    small = filing.smallest(filing.builds("deserialize")[0], "deserialize", DUPLICATE, TWICE)
    filing.refile(replace(crash, status=crashes.BY_DESIGN, verdict="kept"), small)
    again = crashes.load(crash.folder)
    assert (again.data(), again.status, again.verdict, again.found["size"]) == (small, "by-design", "kept", len(small))
    with pytest.raises(HarnessError, match="does not show"):
        filing.refile(again, b"nothing")
    assert crashes.load(crash.folder).data() == small


GOOD = pack([("a", "U8", (2,), b"xy")], {"k": "v"})


def crash_of(sig: str, *, oracle: str = "differential", summary: str = 'a \'summary\' \\ """ of it') -> Crash:
    found = parts(sig)
    why, sentence = account.account(Finding(oracle, found.kind, found.rule, found.aspect, summary))
    return Crash(
        finding_id(sig), found.target, oracle, found.kind, sig, crashes.OPEN, summary, why, found.rule, found.aspect, sentence,
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


PROGRAMS = [target for target in all_targets().values() if target.vocabulary is not None]


@pytest.mark.parametrize("target", PROGRAMS, ids=lambda target: target.name)
@pytest.mark.parametrize("oracle", ["contract", "lifecycle", "roundtrip"])
def test_no_name_of_a_program_s_reproducer_is_taken_twice(target: Target, oracle: str):
    """A script brings its own functions: of two of one name the later would be called by both."""
    sig = "contract|raise|load: KeyError: _" if oracle == "contract" else "differential|refused|x"
    crash = crash_of(f"{target.name}|{sig}", oracle=oracle)
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


def test_findings_of_several_targets_that_are_one_defect_are_grouped():
    refused = "refused|Error while deserializing{}: overflow computing buffer size"
    first = "deserialize|differential|" + refused.format("")
    second = "safe_open|differential|" + refused.format(" header")
    assert filing.group(first) == filing.group(second)
    assert filing.group(DUPLICATE) != filing.group(DUPLICATE.replace("metadata-key", "tensor-name"))


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("mlx|differential|misread|dtype", "mlx|differential|agreement.deserialize-mmap.get_tensor|dtype", True),
        ("mlx|differential|misread|dtype", "paddle|differential|misread|dtype", False),
        ("paddle|differential|agreement.deserialize-load_file.pread|outcome:accept/reject",
         "paddle|differential|agreement.deserialize-load|outcome:accept/reject", False),
        ("quantized|differential|quantized.get_slice|shape/F4", "quantized|differential|quantized.get_tensors|shape/F4", True),
        ("quantized|differential|quantized.get_slice|shape/F4", "quantized|differential|quantized.get_slice|bytes/F4", False),
        ("writers|roundtrip|roundtrip.written|numpy: accepted/name/x", "torch_writers|roundtrip|torch.written|accepted/name/x", True),
        ("writers|roundtrip|roundtrip.written|numpy: bytes/strided", "writers|roundtrip|roundtrip.written|numpy: bytes/cropped", False),
    ],
)  # fmt: skip
def test_what_oracles_and_calls_have_in_common_is_one_defect_and_no_more(first: str, second: str, one: bool):
    assert (filing.group(first) == filing.group(second)) is one


@pytest.mark.parametrize("kind", ["panic", "contract", "differential", "roundtrip", "memory", "time", "crash", "hang"])
@pytest.mark.parametrize(
    "rule", ["refused", "misread", "layout.hole", "metamorphic.padding", "leaks.bytes", "resources.open"]
)
def test_every_kind_of_finding_has_an_account(kind: str, rule: str):
    why, sentence = account.account(Finding("oracle", kind, rule, "bytes", "the summary"))
    assert len(why) > 30
    assert sentence == "" or len(sentence) > 15


def test_the_account_of_a_death_says_what_the_program_did():
    reads = account.account(Finding("isolation", "crash", "crash", "SIGABRT/header.padding", "the process died"))
    called = account.account(Finding("isolation", "memory", "memory", "allocation/get_slice", "more than its limit"))
    for aspect in ("SIGABRT/null-pointer", "SIGSEGV/serialize_file", "SIGSEGV/save"):
        why, sentence = account.account(Finding("isolation", "crash", "crash", aspect, "the process died"))
        assert why.startswith("Writing what was handed over kills the process")
        # The text speaks of files that are read.
        assert sentence == ""
    assert [why.partition(":")[0] for why, _ in (reads, called)] == [
        "Reading the file kills the process",
        "Reading the file takes memory out of all proportion to it",
    ]
    assert "DOS" in reads[1]


def test_what_is_about_another_implementation_stays_in_the_campaign(project: Path):
    said: list[str] = []
    sig = "shards|contract|raise|hub.metadata: ZeroDivisionError: _"
    finding = stored(project / "campaign", sig, get_target("shards").seeds()["in-order"])  # type: ignore[attr-defined]
    assert filing.file_finding(finding, project / "campaign", say=said.append) is None
    assert "is about huggingface_hub, not the parser" in said[0]
    assert list((project / "crashes").iterdir()) == []
    assert [one.id for one in store.findings(project / "campaign")] == [finding.id]


def test_a_part_that_is_refused_has_a_reproducer_that_needs_no_harness(
    project: Path, tmp_path: Path, wheel_parser: Parser
):
    words = base.vocabulary(get_target("parallel"))
    assert words is not None
    program = words.encode([words.step("tensor", 0, 3), words.step("columns", 0, 3, 1)])  # two rows, three ranks
    finding = stored(project / "campaign", "parallel|differential|refused|empty-at-end", program)
    crash = filing.file_finding(finding, project / "campaign", shrink=False, say=lambda _: None)
    assert crash is not None
    status, output = run(crash.folder, wheel_parser, tmp_path)
    assert (status, "should be float32 [0, 3]" in output) == (1, True), output
