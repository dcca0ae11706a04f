"""``harness bisect`` from the command line."""

from __future__ import annotations

import json

import pytest

from harness.errors import HarnessError
from tests.cli.running import run


def test_one_release() -> None:
    status, text = run("bisect", "roundtrip.written-38600fbb", "--release", "0.8.0", "--json")
    (row,) = json.loads(text[text.index("[") :])
    assert (status, row["first"], row["releases"]) == (1, "0.8.0", ["0.8.0"])


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((), "no finding was named"),
        (("nonsense-1",), "is no filed finding"),
        (("raise-",), "names several"),
        (("roundtrip.written-38600fbb", "--source", "."), "a good revision"),
    ],
)
def test_errors_say_what_is_wrong(arguments: tuple[str, ...], fault: str) -> None:
    with pytest.raises(HarnessError, match=fault):
        run("bisect", *arguments)
