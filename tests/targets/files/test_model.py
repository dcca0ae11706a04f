from __future__ import annotations

import pytest

from harness.format import judge
from harness.format.encode import pack
from harness.observation import ACCEPT, RAISE, REJECT
from harness.targets.files.model import Model


def test_the_judge_s_verdict_is_the_outcome():
    run = Model().open(None)
    outcome, error, judgement = run(pack([("a", "U8", (1,), b"x")]))
    assert (outcome, error, judgement.verdict) == (ACCEPT, "", "accept")
    assert run(b"")[:2] == (REJECT, "framing.length")


def test_a_judge_that_raises_is_seen(monkeypatch):
    def broken(data: bytes) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(judge, "judge", broken)
    assert Model().open(None)(b"")[:2] == (RAISE, "RecursionError: too deep")


@pytest.mark.parametrize(
    "data", [b"[" * 5_000, b'{"a":' * 5_000, b"{" + b"9" * 8_000, b"\xff" * 8_192, b'{"\\ud800":0}']
)
def test_hostile_text_is_answered(data: bytes):
    outcome, error, _ = Model().open(None)(len(data).to_bytes(8, "little") + data)
    assert outcome == REJECT
    assert error
