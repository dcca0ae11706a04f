"""What each kind of task does to a store, by the real parser, and results of a store that are none."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from harness.coverage.collect import collect, measured
from harness.engine.campaign.shared_unit import identity
from harness.errors import HarnessError
from harness.parsers.registry import Parser
from harness.store import records
from harness.store.objects import open_store
from harness.tasks import process
from harness.tasks.kinds import KINDS, Place, sound, unpack
from tests.cli.running import run

from .conftest import large, seeds

#: The smallest file with the finding of the store.
SMALL = b"\3\0\0\0\0\0\0\0{}\t"


def finding(place: Place) -> tuple[dict[str, Any], bytes]:
    ((about, data),) = records.get_findings(place.objects, {})
    return about, data


def test_a_smaller_input_is_stored_beside_the_larger_one(place: Place) -> None:
    name = finding(place)[0]["id"]
    before = {entry.path for entry in place.objects.list("")}
    result = KINDS["minimize"](place, name)
    assert (result["before"], result["after"], result["note"]) == (len(large()), len(SMALL), "")
    assert finding(place)[1] == SMALL
    assert {entry.path for entry in place.objects.list("")} > before
    again = KINDS["minimize"](place, name)
    assert (again["before"], again["after"]) == (len(SMALL), len(SMALL))


def test_a_finding_that_does_not_show_stays_as_it_is(place: Place) -> None:
    about, _ = finding(place)
    harmless = b"\2\0\0\0\0\0\0\0{}"
    records.put_finding(place.objects, about | {"size": len(harmless)}, harmless)
    result = KINDS["minimize"](place, about["id"])
    assert (result["after"], result["note"]) == (len(harmless), "it does not show again")


def test_a_finding_that_is_not_there_is_an_error(place: Place) -> None:
    with pytest.raises(HarnessError, match="has no finding header-00000000"):
        KINDS["minimize"](place, "header-00000000")


def test_profiles_of_hosts_measure_what_a_replay_here_measures(
    place: Place, coverage_parser: Parser, tmp_path: Path
) -> None:
    there = dataclasses.replace(place, parser=coverage_parser)
    results = {name: KINDS["coverage"](there, name) for name in ("deserialize", "numpy")}
    assert all(sound("coverage", name, result) for name, result in results.items())
    folder = tmp_path / "profiles"
    folder.mkdir()
    sent = json.loads(json.dumps(results))
    replayed = {name: unpack(result, folder / name) for name, result in sent.items()}
    found = measured(coverage_parser, replayed, folder)
    inputs = {name: [*seeds(name, 20).values()] for name in results}
    alone = collect(coverage_parser, inputs)
    assert found.python == []
    assert {name: one.replay.executed for name, one in found.targets.items()} == {"deserialize": 20, "numpy": 20}
    regions = [
        {(file.path, region) for file in one.rust for region, count in file.regions.items() if count}
        for one in (found, alone)
    ]
    # Hash maps have random keys.
    assert len(regions[0] ^ regions[1]) <= 8
    assert len(regions[0]) > 300


def test_a_target_that_runs_no_parser_is_refused(place: Place) -> None:
    with pytest.raises(HarnessError, match="does not run the parser"):
        KINDS["coverage"](place, "model")


def archive(kind: bytes, size: int) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as made:
        member = tarfile.TarInfo("../0.profraw")
        member.type, member.size = kind, size
        made.addfile(member, io.BytesIO(bytes(size)))
    return base64.b64encode(packed.getvalue()).decode()


@pytest.mark.parametrize(
    "changed",
    [
        {"profiles": "no archive"},
        {"profiles": base64.b64encode(b"no archive").decode()},
        {"profiles": archive(tarfile.SYMTYPE, 0)},
        {"profiles": archive(tarfile.REGTYPE, 65 << 20)},
        {"deaths": [1]},
    ],
)
def test_a_hostile_result_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    whole = {"target": "numpy", "executed": 1, "deaths": [], "profiles": archive(tarfile.REGTYPE, 9)}
    unpack(whole, tmp_path / "sound")
    assert [path.name for path in tmp_path.rglob("*.profraw")] == ["1.profraw"]
    with pytest.raises(HarnessError, match="holds no profiles"):
        unpack(whole | changed, tmp_path / "hostile")


@pytest.mark.parametrize("result", [{}, {"target": "other"}, {"target": "numpy", "before": "1", "after": 1}])
def test_a_result_of_another_task_is_none(result: dict[str, Any]) -> None:
    assert not sound("prune", "numpy", result)


def test_a_task_with_a_result_is_not_done_again(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    name = finding(place)[0]["id"]
    words = ["--store", place.objects.address, "--parser", place.parser.name, "--campaign", place.campaign]
    assert process.main(["minimize", name, *words, "--id", "task-1"]) == 0
    result = records.get_result(place.objects, "task-1")
    assert result is not None
    assert sound("minimize", name, result)
    assert process.main(["minimize", name, *words, "--id", "task-1"]) == 0
    assert records.get_result(place.objects, "task-1") == result
    assert process.main(["minimize", "header-00000000", *words, "--id", "task-2"]) == 2
    assert "has no finding" in capsys.readouterr().err
    assert records.get_result(place.objects, "task-2") is None


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_store_without_a_campaign_is_an_error_and_stays_empty(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("obstore", reason="the extra cluster brings it")
    with pytest.raises(HarnessError, match="has no campaign"):
        run("cluster", kind, "--store", tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []


def test_a_campaign_begins_below_an_address_for_each_parser(
    tmp_path: Path, sancov_parser: Parser, wheel_parser: Parser
) -> None:
    pytest.importorskip("obstore", reason="the extra cluster brings it")
    printed = [
        run("cluster", "begin", "--store", tmp_path, "--parser", parser.name)[1].strip()
        for parser in (sancov_parser, sancov_parser, wheel_parser)
    ]
    assert printed[0] == printed[1] != printed[2]
    assert {str(path.parent) for path in tmp_path.glob("*/campaign.json")} == set(printed)
    # Any target may be driven there.
    mine = identity(sancov_parser, ("deserialize",))
    assert records.join(open_store(printed[0]), mine, ("deserialize",)).targets == ()


def test_commands_do_tasks_in_their_own_process(place: Place, coverage_parser: Parser) -> None:
    status, text = run("cluster", "prune", "--store", place.objects.address, "--target", "numpy", "--json")
    (told,) = json.loads(text[text.index("[") :])
    assert (status, told["target"], told["before"]) == (0, "numpy", 20)
    status, text = run("cluster", "minimize", "--store", place.objects.address)
    assert status == 0
    assert f": {len(large())} -> {len(SMALL)} bytes\n" in text
    status, text = run("cluster", "coverage", "--store", place.objects.address, "--target", "deserialize")
    assert status == 0
    assert "deserialize: 20 inputs replayed" in text
    assert "all Rust" in text
    assert "all Python" not in text
    with pytest.raises(HarnessError, match="model: target model does not run the parser"):
        run("cluster", "coverage", "--store", place.objects.address, "--target", "model")
