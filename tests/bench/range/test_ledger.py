"""Attempts that are done, across processes that were killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import paths
from harness.bench.range import bugs, measure
from harness.bench.range.ledger import Ledger
from harness.errors import HarnessError

from .conftest import Made

BUGS = bugs.bugs()
ONE, TWO, LONGER = measure.plans(BUGS, [60, 60, 90], 2, 7)[:3]


def test_plans_take_each_budget_once_and_the_smallest_first() -> None:
    found = [(plan.budget, plan.seed) for plan in measure.plans(BUGS, [90, 60, 60], 2, 7)]
    assert found == [(60, 7), (60, 8), (90, 7), (90, 8)]
    assert ONE.switch.startswith("1,2,3,")
    assert measure.plans(BUGS, [60], 1, 7, empty=True)[0].id != ONE.id


def test_another_harness_or_other_seeds_have_attempts_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = measure.harness_key()
    assert before == measure.harness_key()
    monkeypatch.setattr(paths, "corpus_dir", lambda: tmp_path)
    assert measure.harness_key() != before


def test_another_process_goes_on_where_one_was_killed(tmp_path: Path, made: Made) -> None:
    path = tmp_path / "key.jsonl"
    Ledger(tmp_path, "key").add(made(7, 60, {}))
    with path.open("ab") as file:
        file.write(b'{"id": "half')
    later = Ledger(tmp_path, "key")
    assert later.row(ONE) is not None
    assert later.row(TWO) is None
    assert later.row(LONGER) is None
    later.add(made(8, 60, {}))
    assert Ledger(tmp_path, "key").row(TWO) is not None
    assert Ledger(tmp_path, "key", fresh=True).row(ONE) is None


def test_an_attempt_is_made_again_where_it_failed_or_had_other_bugs(tmp_path: Path, made: Made) -> None:
    ledger = Ledger(tmp_path, "key")
    ledger.add(made(7, 60, {}, failed=True))
    ledger.add(made(8, 60, {}, bugs=[1, 2]))
    assert ledger.row(ONE) is None
    assert ledger.row(TWO) is None


def test_the_parts_of_several_machines_are_read_together(tmp_path: Path, made: Made) -> None:
    Ledger(tmp_path, "key", "1-of-2").add(made(7, 60, {}))
    Ledger(tmp_path, "key", "2-of-2").add(made(8, 60, {}))
    ledger = Ledger(tmp_path, "key", "1-of-2")
    assert ledger.row(ONE) is not None
    assert ledger.row(TWO) is not None


def test_a_full_disk_is_told(tmp_path: Path, made: Made) -> None:
    Path(tmp_path, "key.jsonl").symlink_to("/dev/full")
    with pytest.raises(HarnessError, match="seed-7-budget-60 cannot be written: No space left") as caught:
        Ledger(tmp_path, "key").add(made(7, 60, {}))
    assert "run the same command again" in caught.value.hint
