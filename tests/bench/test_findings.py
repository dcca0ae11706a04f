"""The bench of findings must see what is wrong with findings: too large, not repeating."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harness import paths
from harness.bench import findings
from harness.findings import crashes, store

ROOT = Path(__file__).parents[2]
ID = "header.padding-362800e8"


@pytest.fixture
def filed(project: Path) -> Path:
    folder = project / "crashes" / ID
    shutil.copytree(ROOT / "crashes" / ID, folder)
    return folder


def test_a_filed_finding_repeats_and_is_minimal(filed: Path):
    (row,) = findings.filed((), 2, lambda _: None)["rows"]
    assert row == {"id": ID, "held": 2, "size": row["size"], "smallest": row["size"], "minimal": True}


def test_one_that_could_be_smaller_is_told(filed: Path):
    data = (filed / crashes.INPUT).read_bytes()
    size = int.from_bytes(data[:8], "little") + 7
    (filed / crashes.INPUT).write_bytes(size.to_bytes(8, "little") + data[8:9] + b" " * 7 + data[9:])
    said: list[str] = []
    (row,) = findings.filed((), 1, said.append)["rows"]
    assert not row["minimal"]
    assert row["smallest"] == len(data)
    assert said[0].endswith(f"{len(data) + 7} bytes, {len(data)} would do")


def test_one_that_does_not_repeat_is_told(filed: Path):
    (filed / crashes.INPUT).write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (row,) = findings.filed((), 1, lambda _: None)["rows"]
    assert (row["held"], row["minimal"]) == (0, True)


@pytest.mark.long
def test_what_a_campaign_finds_is_repeated_and_counted_by_build(project: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.rmtree(project / "corpus")
    shutil.copytree(ROOT / "corpus" / "slices", project / "corpus" / "slices")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    said: list[str] = []
    (row,) = findings.campaigns(["slices"], [1], 6, said.append)["rows"]
    assert row["executions"] > 100
    assert row["wheel"] + row["build-only"] + row["symptom"] == row["new"] + row["known"] > 0
    assert (row["lost"], row["lost_signatures"], row["defects"]) == (0, [], 0)
    kept = paths.build_dir() / "bench" / "findings" / "seed-1"
    # The filed findings of slices are not in this project, so the campaign has new ones: it stays for `harness triage`.
    assert row["new"] == len(store.findings(kept)) == len(row["new_ids"]) > 0
    assert said[-1].endswith("harness triage --campaign build/bench/findings/seed-1")


@pytest.mark.parametrize(("new", "lost", "stays"), [(0, 0, False), (1, 0, True), (0, 1, True)])
def test_a_campaign_stays_while_a_finding_needs_triage(project: Path, new: int, lost: int, stays: bool):
    kept = findings.folder_of(3)
    row = {
        "seed": 3,
        "wheel": 4,
        "build-only": 0,
        "symptom": 0,
        "lost": lost,
        "new": new,
        "defects": 0,
        "lost_signatures": ["a|b"] * lost,
    }
    said: list[str] = []
    findings.tell(row, kept, said.append)
    assert kept.is_dir() == stays
    assert ("triage" in said[-1]) == stays
