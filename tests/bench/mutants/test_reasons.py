from __future__ import annotations

from pathlib import Path

import pytest

from harness.bench.mutants import reasons
from harness.errors import HarnessError


def test_every_committed_reason_has_an_argument() -> None:
    assert {row["reason"] for row in reasons.load().values()} <= set(reasons.REASONS)


def test_a_reason_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "reasons.toml"
    file.write_text('[[survivor]]\nmutant = "a.rs:1"\nreason = "dull"\nwhy = "it is"\n')
    monkeypatch.setattr(reasons, "_FILE", file)
    with pytest.raises(HarnessError, match=r"a\.rs:1 has no reason with an argument"):
        reasons.load()


def test_a_reason_holds_for_a_mutant_or_for_all_of_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "reasons.toml"
    file.write_text(
        '[[survivor]]\nmutant = "a.rs:1"\nreason = "equivalent"\nwhy = "both are equal"\n'
        '[[survivor]]\nfunctions = ["a.rs: f"]\nreason = "unreachable"\nwhy = "there is no such device"\n'
    )
    monkeypatch.setattr(reasons, "_FILE", file)
    explained = reasons.load()
    rows = [
        {"name": name, "file": "a.rs", "function": function} for name, function in [("a.rs:1", "f"), ("a.rs:2", "f")]
    ]
    assert [reasons.of(row, explained)["reason"] for row in rows] == ["equivalent", "unreachable"]
    assert reasons.of({"name": "a.rs:3", "file": "a.rs", "function": "g"}, explained) == {"reason": "", "why": ""}
