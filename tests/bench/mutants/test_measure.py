from __future__ import annotations

from typing import Any

import pytest

from harness.bench.mutants import measure, page, reasons

BY = {
    "target": "numpy",
    "oracle": "differential",
    "kind": "differential",
    "rule": "values",
    "signature": "",
    "input": "",
}


def _row(name: str, status: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "file": name.split(":", maxsplit=1)[0],
        "status": status,
        "by": None,
        "failed": 0,
        "peers": {},
    } | fields


def test_the_score_leaves_out_what_does_not_compile_and_what_is_proven_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    why = {"reason": reasons.EQUIVALENT, "why": "both are equal"}
    monkeypatch.setattr(reasons, "load", lambda: {"a.rs:3": why})
    rows = [
        _row("a.rs:1", "killed", by=BY),
        _row("a.rs:2", "survived", failed=2),
        _row("a.rs:3", "survived"),
        _row("a.rs:4", "unviable"),
        _row("b.py:1", "unviable"),
    ]
    found = measure.summary(rows)
    assert found["files"]["a.rs"] == {
        "mutants": 4, "killed": 1, "survived": 2, "unviable": 1, "equivalent": 1, "score": 0.5,
    }  # fmt: skip
    assert found["files"]["b.py"]["score"] is None
    assert found["killed_by_target"] == {"numpy": 1}
    assert found["harness_failed"] == ["a.rs:2"]
    assert [(one["name"], one["reason"]) for one in found["survivors"]] == [("a.rs:2", ""), ("a.rs:3", "equivalent")]
    lines = list(page.lines(found))
    assert lines[0].split() == ["file", "mutants", "unviable", "killed", "survived", "equivalent", "score"]
    assert lines[-1] == "survivor without a reason: a.rs:2"


def test_a_peer_is_compared_on_the_mutants_that_it_judged() -> None:
    judged = [("killed", "a test"), ("killed", ""), ("survived", "a test"), ("survived", "")]
    rows = [_row(f"a.rs:{n}", status, peers={"upstream": test}) for n, (status, test) in enumerate(judged)]
    found = measure.summary([*rows, _row("a.rs:9", "killed", by=BY)])
    assert found["peers"] == {
        "upstream": {"mutants": 4, "killed": 2, "killed_by_replay": 2, "replay_alone": 1, "peer_alone": 1}
    }
    (line,) = [line for line in page.lines(found) if line.startswith("upstream")]
    assert line == "upstream kills 2 of 4, the replay 2; the replay alone 1, upstream alone 1"
