"""The table of costs, and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.bench import resources
from harness.cli.main import group
from harness.errors import HarnessError
from harness.findings import store
from harness.mutate.growth import FAMILIES
from harness.targets.resources.calls import CALLS
from harness.targets.resources.meter import Measurement
from harness.targets.resources.oracle import BYTES, INSTRUCTIONS, Point


def series(call: str, family: str, cost: str, power: int, ends: str = "ok") -> Measurement:
    points = tuple(Point(n, 64 * n, 64 * n, 0, 1000 * n**power) for n in (32, 64, 128, 256, 512))
    return Measurement(call, family, cost, (ends,) * 5, points)


def test_one_defect_is_told_once():
    found = resources.findings(
        [
            series("slice-step", "reversed", INSTRUCTIONS, 2),
            series("slice-first", "tensors", INSTRUCTIONS, 2),
            series("slice-column", "tensors", BYTES, 2, "SafetensorError"),
            series("slice-step-pread", "tensors", BYTES, 2),
            series("keys", "tensors", BYTES, 2),
            series("keys", "name", BYTES, 1),
        ]
    )
    assert len(found) == 5
    told = [(one.call, one.cost) for one, _ in resources.distinct(found)]
    assert told == [("slice-step-pread", BYTES), ("keys", BYTES)]


def test_the_table_has_both_exponents_and_marks_what_is_wrong():
    measured = [
        series("keys", "tensors", BYTES, 2),
        series("keys", "tensors", INSTRUCTIONS, 1),
        series("metadata", "tensors", BYTES, 1, "KeyError"),
        series("metadata", "tensors", INSTRUCTIONS, 1, "KeyError"),
        Measurement("metadata", "depth", BYTES, ("setup: KeyError",) * 5, ()),
    ]
    assert resources.table(measured) == [
        ["call", "tensors", "depth"],
        ["keys", "1.0 / 2.0 !", "-"],
        ["metadata", "(1.0)", "-"],
    ]


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(group, ["bench", "resources", *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value), result.output


def test_a_part_is_measured_stored_and_printed(project: Path):
    sound = ("--cost", "bytes", "--call", "get_tensor", "--family", "tensors", "--family", "buffer")
    status, text = run(*sound)
    assert status == 0
    assert "get_tensor  0.0      1.0" in text
    kept = json.loads((project / "build/bench/resources-part.json").read_text())
    assert [one["family"] for one in kept["series"]] == ["tensors", "buffer"]
    assert len(kept["series"][0]["points"]) == 5
    status, text = run("--cost", "bytes", "--call", "slice-column", "--family", "rows")
    assert status == 1
    (stored,) = store.findings(project / "build/campaigns/resources")
    assert stored.data() == b"bytes slice-column rows"
    assert f"new: {stored.id}" in text
    with pytest.raises(HarnessError, match="'nothing'"):
        run("--call", "nothing")


def test_the_page_has_every_call_and_every_family():
    text = (Path(__file__).parents[2] / "docs/resources.md").read_text()
    assert [name for name in CALLS if f"\n| `{name}` |" not in text] == []
    said = [
        f"| `{name}` | {family.words}: {family.sizes[0]:,} to {family.sizes[-1]:,} |"
        for name, family in FAMILIES.items()
    ]
    assert [line for line in said if line not in text] == []
