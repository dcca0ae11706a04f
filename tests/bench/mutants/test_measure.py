from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from harness.bench import claims
from harness.bench.mutants import build, measure, page, reasons
from harness.bench.mutants import mutant as listing
from harness.bench.mutants.kill import Inputs
from harness.errors import HarnessError
from harness.parsers.registry import Parser
from tests.bench.mutants.conftest import Make

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
        "function": "",
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
        _row("a.rs:5", "identical"),
        _row("b.py:1", "unviable"),
    ]
    found = measure.summary(rows)
    assert found["files"]["a.rs"] == {
        "mutants": 5, "killed": 1, "survived": 2, "unviable": 1, "identical": 1, "equivalent": 1, "score": 0.5,
    }  # fmt: skip
    assert found["files"]["b.py"]["score"] is None
    assert found["killed_by_target"] == {"numpy": 1}
    assert found["harness_failed"] == ["a.rs:2"]
    assert [(one["name"], one["reason"]) for one in found["survivors"]] == [("a.rs:2", ""), ("a.rs:3", "equivalent")]
    lines = list(page.lines(found))
    assert lines[0].split() == ["file", "mutants", "unviable", "identical", "killed", "survived", "equivalent", "score"]
    assert lines[-1] == "survivor without a reason: a.rs:2"
    told = claims.claims("mutants", found)
    assert [(one.figure, one.met) for one in told] == [
        ("1 of 2, 50.0%", None),
        ("1 of 2, 50.0%", None),
        ("1 of 2", False),
    ]


def test_the_score_of_a_known_file_has_a_goal() -> None:
    rows = [_row(f"src/slice.rs:{number}", "killed", by=BY, peers={"upstream": ""}) for number in range(20)]
    score, whole, upstream, explained = claims.claims("mutants", measure.summary(rows))
    assert (score.figure, score.goal, score.met) == ("20 of 20, 100.0%", "95%", True)
    assert whole.goal == ""
    assert (upstream.figure, upstream.interval) == ("0 of 20", "0% to 17%")
    assert explained.met is True


def test_a_peer_is_compared_on_the_mutants_that_it_judged() -> None:
    judged = [("killed", "a test"), ("killed", ""), ("survived", "a test"), ("survived", "")]
    rows = [_row(f"a.rs:{n}", status, peers={"upstream": test}) for n, (status, test) in enumerate(judged)]
    found = measure.summary([*rows, _row("a.rs:9", "killed", by=BY)])
    assert found["peers"] == {
        "upstream": {"mutants": 4, "killed": 2, "killed_by_replay": 2, "replay_alone": 1, "peer_alone": 1}
    }
    (line,) = [line for line in page.lines(found) if line.startswith("upstream")]
    assert line == "upstream kills 2 of 4, the replay 2; the replay alone 1, upstream alone 1"


def test_mutants_are_judged_once_and_survivors_again_on_other_inputs(
    folder: Path, make: Make, sancov_parser: Parser, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = Inputs.committed().by_target
    seeds = {name: every[name][:40] for name in ("deserialize", "numpy")}
    monkeypatch.setattr(Inputs, "committed", lambda: Inputs(seeds))
    mutants = [make("tensor_dict.items()", new) for new in ("[]", "(tensor_dict.items())", "][")]
    monkeypatch.setattr(listing, "every", lambda source, libraries: mutants)
    said: list[str] = []
    found = measure.measure(sancov_parser, folder, said.append)
    assert found["all"] | {"score": 0} == {
        "mutants": 3, "killed": 1, "survived": 1, "unviable": 1, "identical": 0, "equivalent": 0, "score": 0,
    }  # fmt: skip
    assert found["killed_by_target"] == {"numpy": 1}
    assert said[-1].startswith("  3 of 3: 1 killed, 1 survived, 1 unviable")
    said.clear()
    assert measure.measure(sancov_parser, folder, said.append) == found
    assert said == ["3 mutants, 3 of them judged earlier"]
    seeds["deserialize"] = every["deserialize"][:30]
    measure.measure(sancov_parser, folder, said.append)
    assert "3 mutants, 2 of them judged earlier" in said


def test_a_disk_that_is_full_ends_the_measurement_with_a_word_on_it(
    folder: Path, make: Make, sancov_parser: Parser, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = {"deserialize": Inputs.committed().by_target["deserialize"][:5]}
    monkeypatch.setattr(Inputs, "committed", lambda: Inputs(seeds))
    monkeypatch.setattr(listing, "every", lambda source, libraries: [make("tensor_dict.items()", "[]")])

    def full(source: Path, place: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(build, "_replace", full)
    with pytest.raises(HarnessError, match="a mutant cannot be built or judged: .*No space left") as caught:
        measure.measure(sancov_parser, folder, lambda _: None)
    assert "it goes on from here" in str(caught.value.hint)
