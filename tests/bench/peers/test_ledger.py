"""The ledger goes on after a kill and a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.bench.peers.ledger import Ledger
from harness.bench.peers.trial import Plan
from harness.errors import HarnessError

from .conftest import Made


def test_a_row_is_there_for_the_next_command_and_other_parts(tmp_path: Path, made: Made) -> None:
    row = made("ours", 1, 60, {1: 2.0})
    Ledger(tmp_path, "key", "1-of-2").add(row)
    other = Ledger(tmp_path, "key", "2-of-2")
    assert other.row(Plan("ours", 1, 60)) == row
    assert other.row(Plan("ours", 2, 60)) is None
    assert other.row(Plan("ours", 1, 61)) is None
    assert Ledger(tmp_path, "other").row(Plan("ours", 1, 60)) is None


def test_half_a_line_is_passed_over(tmp_path: Path, made: Made) -> None:
    ledger = Ledger(tmp_path, "key")
    ledger.add(made("ours", 1, 60, {}))
    with (tmp_path / "key.jsonl").open("ab") as file:
        file.write(b'{"id": "ours-seed-2')
    ledger.add(made("ours", 3, 60, {}))
    again = Ledger(tmp_path, "key")
    assert [again.row(Plan("ours", seed, 60)) is not None for seed in (1, 2, 3)] == [True, False, True]


def test_fresh_forgets(tmp_path: Path, made: Made) -> None:
    Ledger(tmp_path, "key").add(made("ours", 1, 60, {}))
    assert Ledger(tmp_path, "key", fresh=True).row(Plan("ours", 1, 60)) is None


def test_a_row_that_cannot_be_written_says_how_to_go_on(tmp_path: Path, made: Made) -> None:
    ledger = Ledger(tmp_path, "key")
    (tmp_path / "key.jsonl").symlink_to("/dev/full")
    with pytest.raises(HarnessError, match="No space left") as caught:
        ledger.add(made("ours", 1, 60, {}))
    assert "make room" in caught.value.hint
