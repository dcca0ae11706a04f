"""The reasons why a host is left out, and remarks on those that can do less."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

from harness.engine.cluster import checks, host
from harness.engine.cluster.checks import Facts, advice, problem


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Facts:
    pytest.importorskip("obstore", reason="the extra cluster brings it")
    monkeypatch.setenv(host.FOLDER, str(tmp_path / "host"))
    return checks.facts(str(tmp_path / "store"), "ab" * 32)


def test_a_host_like_this_one_can_take_units(mine: Facts) -> None:
    assert mine.store == ""
    assert problem(mine, dataclasses.replace(mine, host="another", clock=time.time())) == ""
    assert advice(mine) == "it has no such parser, and gets it from the store"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"harness": "0.9"}, "the harness is 0.9 there"),
        ({"python": "3.99"}, "Python is 3.99 there"),
        ({"atheris": "1"}, "atheris is 1 there"),
        ({"code": "other"}, "other code there: install the same commit"),
        ({"clock": 1.0}, "s off: set it"),
        ({"disk_mb": 5}, "5 MB of free disk"),
        ({"store": "cannot write the store"}, "cannot write the store"),
    ],
)
def test_a_host_that_differs_is_left_out_with_the_reason(mine: Facts, changed: dict[str, Any], words: str) -> None:
    assert words in problem(mine, dataclasses.replace(mine, **changed))


def test_little_shared_memory_is_no_reason_but_a_remark(mine: Facts) -> None:
    small = dataclasses.replace(mine, shared_mb=64)
    assert problem(mine, small) == ""
    assert "64 MB of free shared memory" in advice(small)


def test_a_store_that_cannot_be_used_from_a_host_is_a_fact(mine: Facts) -> None:
    assert "cannot use the folder" in checks.facts("/proc/nothing", "ab" * 32).store
