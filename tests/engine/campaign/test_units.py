"""A unit of work and its result as values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.engine.campaign.units import RELOAD, Result, Unit
from harness.engine.worker import memory
from harness.errors import HarnessError

UNIT = Unit(
    "deserialize",
    "0.8.0",
    7,
    (Path("seeds"), Path("more")),
    seconds=1.5,
    disabled=("shape.zero",),
    guards=('["a"]',),
    options={"options": ("-use_cmp=0",), "oracles": False},
)


def test_a_unit_and_a_result_come_back_as_they_were_saved(tmp_path: Path) -> None:
    UNIT.save(tmp_path / "unit.json")
    assert Unit.load(tmp_path / "unit.json") == UNIT
    result = Result("deserialize", 1.5, executions=3, edges=(4, 5), corpus=("a",), statistics={"stages": {"b": 1}})
    result.save(tmp_path / "result.json")
    assert Result.load(tmp_path / "result.json") == result


@pytest.mark.parametrize("shared", [False, True])
def test_a_worker_is_told_what_its_unit_says(tmp_path: Path, shared: bool) -> None:
    unit = Unit(**{**vars(UNIT), "shared": shared})
    settings = unit.settings(tmp_path, runs=9)
    memory.remove(settings.memory)
    assert (settings.target, settings.seed, settings.seconds, settings.runs) == ("deserialize", 7, 1.5, 9)
    assert settings.oracles is False
    assert settings.options == (("-use_cmp=0", RELOAD) if shared else ("-use_cmp=0",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "cannot be read"),
        ("{", "cannot be read"),
        ('{"target": "a"}', "missing .* 'parser'"),
        ("", "cannot be read"),
    ],
)
def test_what_is_no_unit_is_said_so(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "unit.json").write_text(text)
    with pytest.raises(HarnessError, match=words):
        Unit.load(tmp_path / "unit.json")
    UNIT.save(tmp_path / "unit.json")
    known = json.loads((tmp_path / "unit.json").read_text())
    (tmp_path / "unit.json").write_text(json.dumps(known | {"colour": "red"}))
    with pytest.raises(HarnessError, match="unknown field 'colour'"):
        Unit.load(tmp_path / "unit.json")


def test_results_of_other_machines_are_checked() -> None:
    good = Result("deserialize", 1.5, executions=3, edges=(4, 5), corpus=("a",))
    assert good.sound()
    changes: tuple[dict[str, Any], ...] = (
        {"seconds": "1"},
        {"executions": -1},
        {"edges": (1,)},
        {"features": (1, "2")},
        {"corpus": (1,)},
        {"cpu_seconds": float("nan")},
        {"report": []},
        {"problem": None},
    )
    for changed in changes:
        assert not Result(**{**vars(good), **changed}).sound(), changed
