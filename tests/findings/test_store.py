from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.findings import store
from harness.findings.finding import Finding
from harness.findings.signature import finding_id
from harness.targets.registry import get_target
from tests.waiting import LONG

SIGNATURE = "deserialize|differential|header.padding|accepted/newline"
ID = finding_id(SIGNATURE)


def add(campaign: Path, data: bytes, *, execution: int = 12) -> bool:
    get_target("deserialize")  # with the registry, rules load
    finding = Finding.of_signature(SIGNATURE, "differential", f"{len(data)} bytes")
    return store.add(campaign, finding, data, parser="0.8.0", seed=7, execution=execution, seconds=1.5)


def test_a_signature_is_stored_once_with_its_smallest_input(tmp_path: Path):
    assert add(tmp_path, b"12345")
    assert not add(tmp_path, b"123456789")
    assert not add(tmp_path, b"12", execution=99)
    (found,) = store.findings(tmp_path)
    assert (found.data(), found.size, found.summary) == (b"12", 2, "2 bytes")
    # Where it was first seen stays, whatever becomes smaller later.
    assert (found.id, found.count, found.execution, found.seed, found.seconds) == (ID, 3, 12, 7, 1.5)
    assert found.folder == tmp_path / "findings" / ID


def test_a_kill_between_the_two_files_leaves_nothing_broken(tmp_path: Path):
    add(tmp_path, b"12345")
    (tmp_path / "findings" / ID / store.ABOUT).unlink()
    assert store.findings(tmp_path) == []
    assert add(tmp_path, b"123")
    assert store.findings(tmp_path)[0].data() == b"123"


def test_workers_that_store_at_once_lose_nothing(tmp_path: Path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from test_store import add\n"
        "for size in range(40, 0, -1): add(Path(sys.argv[2]), bytes(size))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)]
    workers = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [worker.wait(LONG) for worker in workers] == [0, 0, 0]
    (found,) = store.findings(tmp_path)
    assert (found.count, found.data()) == (120, b"\0")


def test_guards_are_kept_with_their_finding(tmp_path: Path):
    add(tmp_path, b"12345")
    assert store.guards(tmp_path) == []
    store.set_guard(tmp_path, ID, ["deep", "word"])
    add(tmp_path, b"1")
    assert store.guards(tmp_path) == [["deep", "word"]]


def test_a_minimised_input_takes_the_place_of_the_found_one(tmp_path: Path):
    add(tmp_path, b"12345")
    store.replace_input(store.findings(tmp_path)[0], b"1", "smaller")
    (found,) = store.findings(tmp_path)
    assert (found.data(), found.size, found.summary, found.fields["found_size"]) == (b"1", 1, "smaller", 5)
    assert not add(tmp_path, b"123")
    assert store.findings(tmp_path)[0].data() == b"1"


@pytest.mark.parametrize(
    ("text", "message"), [('{"id": "x', "is damaged"), ("[]", "is damaged"), ("{}", "lacks the field")]
)
def test_a_damaged_description_is_named_and_the_input_kept(tmp_path: Path, text: str, message: str):
    add(tmp_path, b"12345")
    path = tmp_path / "findings" / ID / store.ABOUT
    path.write_text(text)
    with pytest.raises(HarnessError, match=message) as caught:
        store.findings(tmp_path)
    assert str(path) in str(caught.value)
    assert (path.parent / store.INPUT).read_bytes() == b"12345"


def test_an_input_that_is_gone_is_an_error(tmp_path: Path):
    add(tmp_path, b"12345")
    (found,) = store.findings(tmp_path)
    found.input.unlink()
    with pytest.raises(HarnessError, match="No such file"):
        found.data()


def test_campaigns_are_found_by_name_folder_and_date(project: Path):
    with pytest.raises(HarnessError, match="no campaign in") as caught:
        store.campaign_at(None)
    assert "harness fuzz" in caught.value.hint
    for age, name in ((200, "old"), (100, "new")):
        folder = project / "build" / "campaigns" / name
        folder.mkdir(parents=True)
        (folder / "campaign.json").write_text(json.dumps({}))
        os.utime(folder / "campaign.json", (1_000_000 - age, 1_000_000 - age))
    assert [folder.name for folder in store.campaigns()] == ["new", "old"]
    assert store.campaign_at(None).name == "new"
    assert store.campaign_at(Path("old")).name == "old"
    assert store.campaign_at(project / "build/campaigns/old").name == "old"
    with pytest.raises(HarnessError, match="is no campaign folder") as caught:
        store.campaign_at(Path("missing"))
    assert "new, old" in caught.value.hint
