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
