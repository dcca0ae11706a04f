from __future__ import annotations

from pathlib import Path

import pytest

from harness.bench.mutants.ledger import KILLED, SURVIVED, UNVIABLE, Ledger
from harness.bench.mutants.mutant import Mutant
from harness.errors import HarnessError

ONE, TWO = (Mutant("a.rs", line, 1, "f", "replace + with -", 0, 1, "-") for line in (1, 2))


def test_another_process_goes_on_where_one_was_ended(tmp_path: Path) -> None:
    path = tmp_path / "key.jsonl"
    Ledger(tmp_path, "key").add(ONE, KILLED, "inputs")
    # A process that was killed may leave part of a line.
    with path.open("ab") as file:
        file.write(b'{"id": "half')
    later = Ledger(tmp_path, "key")
    assert later.replayed(ONE, "inputs")
    assert not later.replayed(TWO, "inputs")
    later.add(TWO, KILLED, "inputs")
    assert Ledger(tmp_path, "key").rows.keys() == {ONE.id, TWO.id}
    assert not Ledger(tmp_path, "key", fresh=True).rows


def test_a_survivor_is_judged_again_on_other_inputs_and_a_killed_one_is_not(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "key")
    ledger.add(ONE, SURVIVED, "few")
    ledger.add(TWO, KILLED, "few")
    assert ledger.replayed(ONE, "few")
    assert not ledger.replayed(ONE, "more")
    assert ledger.replayed(TWO, "more")


def test_the_parts_of_several_machines_are_read_together(tmp_path: Path) -> None:
    Ledger(tmp_path, "key", "1-of-2").add(ONE, KILLED, "inputs")
    Ledger(tmp_path, "key", "2-of-2").add(TWO, KILLED, "inputs")
    Ledger(tmp_path, "other").add(Mutant("b.rs", 1, 1, "f", "", 0, 1, "-"), KILLED, "inputs")
    assert {path.name for path in tmp_path.iterdir()} == {"key-1-of-2.jsonl", "key-2-of-2.jsonl", "other.jsonl"}
    assert Ledger(tmp_path, "key").rows.keys() == {ONE.id, TWO.id}


def test_a_peer_that_is_asked_later_judges_what_compiles(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "key")
    ledger.add(ONE, KILLED, "inputs", peers={"upstream": ""})
    ledger.add(TWO, UNVIABLE, "inputs")
    assert ledger.lacking(ONE, ["upstream", "crash-only"]) == ["crash-only"]
    assert ledger.lacking(TWO, ["upstream"]) == []


def test_a_full_disk_is_an_error_that_names_the_mutant(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "key")
    (tmp_path / "key.jsonl").symlink_to("/dev/full")
    with pytest.raises(HarnessError, match=r"a\.rs:1:1: replace \+ with - cannot be written: No space left") as caught:
        ledger.add(ONE, KILLED, "inputs")
    assert "it goes on from here" in str(caught.value.hint)
    assert not ledger.rows
