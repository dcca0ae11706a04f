from __future__ import annotations

import threading

import pytest

from harness.programs import chance


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> bytearray:
    table = bytearray(b"\x01\x00\x07")
    monkeypatch.setattr(chance, "_counters", memoryview(table))
    return table


def test_what_a_call_apart_reaches_is_forgotten(counters: bytearray) -> None:
    def call() -> tuple[bytes, int]:
        counters[1] = counters[2] = 9
        return bytes(counters), threading.get_ident()

    seen, thread = chance.apart(call)
    assert seen == b"\x01\x09\x09"
    assert thread != threading.get_ident()
    assert counters == b"\x01\x00\x07"


def test_an_error_of_a_call_apart_passes_through_and_forgets_too(counters: bytearray) -> None:
    def call() -> None:
        counters[0] = 9
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        chance.apart(call)
    assert counters == b"\x01\x00\x07"


def test_without_counters_a_call_apart_is_a_call() -> None:
    assert chance.apart(lambda: 3) == 3
