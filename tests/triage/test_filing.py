"""From a campaign's finding to a folder in crashes/, on the real parser; then its reproducer, with no harness in sight."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness import corpus_store
from harness.errors import HarnessError
from harness.findings import crashes, store
from harness.findings.finding import Finding
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.replay import replay
from harness.targets import known_findings
from harness.targets.registry import get_target
from harness.triage import filing
from tests.triage.reproducing import run

TWICE = b"\x3a\0\0\0\0\0\0\0" + b'{"__metadata__":{"format":"pt","key":"one","key":"two"}}  '
DUPLICATE = "deserialize|differential|header.duplicate-key|accepted/metadata-key"


def stored(campaign: Path, sig: str, data: bytes, oracle: str = "differential") -> store.Stored:
    finding = Finding.of_signature(sig, oracle, "as the worker saw it")
    assert store.add(campaign, finding, data, parser="0.8.0", seed=1, execution=5, seconds=0.1)
    return next(one for one in store.findings(campaign) if one.signature == sig)


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
    assert after.fields["reproduces"] == ["0.8.0", "0.8.0-wheel"]
    status, text = run(crash.folder, wheel_parser, tmp_path)
    assert status == 1, text
    assert "shows: " in text


BACKWARDS = "slices|panic|panic|get_slice: PanicException: attempt to subtract with overflow"


def test_a_program_is_shrunk_filed_and_reproduced_and_what_users_see_of_it_too(
    project: Path, tmp_path: Path, wheel_parser: Parser
):
    words = get_target("slices").vocabulary
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
    finding = stored(project / "campaign", BACKWARDS, program, "contract")
    crash = filing.file_finding(finding, project / "campaign", say=lambda _: None)
    assert crash is not None
    assert crash.builds == ("sancov",)
    assert crash.instead.startswith("0.8.0-wheel: raise: SystemError: Negative size")
    assert get_target("slices").explain(crash.data()).splitlines()[2:] == ["    file.get_slice('a')[slice(1, 0)]"]
    # The wheel raises another error, so its script cannot tell.
    assert run(crash.folder, wheel_parser, tmp_path)[0] == 2
    (other,) = [one for one in store.findings(project / "campaign") if one.id != finding.id]
    assert other.parser == wheel_parser.name
    users = filing.file_finding(other, project / "campaign", say=lambda _: None)
    assert users is not None
    assert users.builds == ("wheel",)
    status, text = run(users.folder, wheel_parser, tmp_path)
    assert status == 1, text
    assert "SystemError: Negative size" in text


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


def test_what_is_about_another_implementation_stays_in_the_campaign(project: Path):
    said: list[str] = []
    sig = "shards|contract|raise|hub.metadata: ZeroDivisionError: _"
    finding = stored(project / "campaign", sig, get_target("shards").seeds()["in-order"], "contract")
    assert filing.file_finding(finding, project / "campaign", say=said.append) is None
    assert "is about huggingface_hub, not the parser" in said[0]
    assert list((project / "crashes").iterdir()) == []
    assert [one.id for one in store.findings(project / "campaign")] == [finding.id]


def test_what_only_a_mended_parser_shows_stays_in_the_campaign(project: Path, sancov_parser: Parser):
    root = project / "build/parsers/0.8.0-mended"
    shutil.copytree(sancov_parser.root, root)
    (root / "manifest.json").write_text(json.dumps({**sancov_parser.manifest, "fixes": ["bad"]}))
    with (root / "site/safetensors/numpy.py").open("a") as file:
        file.write("\n\ndef load(data):\n    raise LookupError('planted')\n")
    data = corpus_store.list_seeds(Path(__file__).parents[2] / "corpus/numpy").seeds[0][1]
    shown = next(
        one for one in replay.once(registry.find("0.8.0-mended"), "numpy", data).findings if "Lookup" in one.signature
    )
    store.add(project / "campaign", shown.finding, data, parser="0.8.0-mended", seed=1)
    (stored,) = store.findings(project / "campaign")
    said: list[str] = []
    assert filing.file_finding(stored, project / "campaign", say=said.append) is None
    assert said == [f"{stored.id}: shows only on 0.8.0-mended, a changed parser; left in the campaign"]
    assert all(build and not build.fixes for build in filing.builds("numpy"))
