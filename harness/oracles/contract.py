"""Only the documented errors: a panic, or any exception that is not the library's own, is a finding."""

from __future__ import annotations

from harness.observation import PANIC, RAISE, Observation
from harness.oracles.base import Finding, normalise


def check(observation: Observation) -> list[Finding]:
    """The findings of one run, judged by how it ended alone.

    The documented error is ``SafetensorError`` ("Custom Python Exception for Safetensor errors", the binding's own
    docstring); a Rust panic comes through as an exception that ``except Exception`` does not even catch.
    """
    outcome, error, _ = observation
    if outcome == PANIC:
        return [Finding("contract", "panic", "panic", normalise(error), f"the parser panicked: {error[:300]}")]
    if outcome == RAISE:
        return [Finding("contract", "contract", "raise", normalise(error), f"an undocumented error: {error[:300]}")]
    return []
