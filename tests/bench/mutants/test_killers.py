"""The record of killers: written, read again, and asked first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import corpus_store
from harness.bench.mutants import killers, measure, page
from harness.bench.mutants.build import Slot
from harness.bench.mutants.kill import Inputs, Judge
from harness.bench.mutants.killers import DIGITS, Killer
from harness.errors import HarnessError
from harness.parsers.registry import Parser
from tests.bench.mutants.conftest import Make


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "killers.txt"
    monkeypatch.setattr(killers, "_FILE", path)
    return path


def _row(name: str, target: str = "", data: str = "") -> dict[str, Any]:
    kill = {"target": target, "input": data, "oracle": "", "rule": ""}
    fields: dict[str, Any] = {
        "file": "a.rs", "function": "", "status": "killed" if target else "survived", "failed": 0, "peers": {},
    }  # fmt: skip
    return {"id": name, "name": f"a.rs:{name}", "by": kill if target else None, **fields}


def test_a_measurement_of_some_mutants_keeps_the_killers_of_others(file: Path) -> None:
    assert killers.load() == {}
    sha1 = corpus_store.sha1(b"input")
    assert killers.record([_row("aa", "numpy", sha1), _row("bb", "torch"), _row("cc")]) == 2
    assert killers.load() == {"aa": Killer("numpy", sha1[:DIGITS]), "bb": Killer("torch", "")}
    assert killers.record([_row("bb"), _row("dd", "slices", sha1)]) == 2
    assert killers.load() == {"aa": Killer("numpy", sha1[:DIGITS]), "dd": Killer("slices", sha1[:DIGITS])}
    assert list(file.parent.iterdir()) == [file]


def test_a_damaged_record_is_an_error_that_names_the_line(file: Path) -> None:
    file.write_text("aa numpy\nbb\n")
    with pytest.raises(HarnessError, match="no killer: 'bb'"):
        killers.load()


def test_a_mutant_that_was_killed_before_and_survives_is_told(file: Path) -> None:
    killers.record([_row("aa", "numpy")])
    lines = list(page.lines(measure.summary([_row("aa"), _row("bb")])))
    assert lines[-2:] == [
        "survivor without a reason: a.rs:aa; numpy killed it before",
        "survivor without a reason: a.rs:bb",
    ]


def test_the_last_killer_is_tried_first(slot: Slot, make: Make, sancov_parser: Parser) -> None:
    few = Inputs({name: Inputs.committed().by_target[name][:40] for name in ("deserialize", "numpy")})
    few.judge_healthy(sancov_parser, lambda _: None)
    # By the time that they take, deserialize would come first.
    few.seconds = {"numpy": 9.0, "deserialize": 1.0}
    one = make("tensor_dict.items()", "[]")
    numpy = few.by_target["numpy"]
    with slot.build(one) as built:
        first = Judge(few, sancov_parser).verdict(one, built).kill
        assert first is not None
        few.by_target["numpy"] = [data for data in numpy if corpus_store.sha1(data) != first.input]
        second = Judge(few, sancov_parser).verdict(one, built).kill
        assert second is not None
        few.by_target["numpy"] = numpy
        judge = Judge(few, sancov_parser, None, {one.id: Killer("numpy", second.input[:DIGITS])})
        kill = judge.verdict(one, built).kill
    assert kill is not None
    assert kill.input == second.input
