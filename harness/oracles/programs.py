"""The oracles that judge several calls at once, by the name under which a target asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.observation import Observation
from harness.oracles import (
    agreement,
    device,
    lifecycle,
    parallel,
    quantized,
    resaved,
    roundtrip,
    shards,
    torch_roundtrip,
)
from harness.oracles import numpy as against_numpy
from harness.oracles.base import Finding

Check = Callable[[bytes, Observation], list[Finding]]

ORACLES: dict[str, Check] = {
    "numpy": against_numpy.check,
    "agreement": agreement.check,
    "resaved": resaved.check,
    "parallel": parallel.check,
    "quantized": quantized.check,
    "shards": shards.check,
    "roundtrip": roundtrip.check,
    "torch_roundtrip": torch_roundtrip.check,
    "lifecycle": lifecycle.check,
    "device": device.check,
}


def check(names: Sequence[str], data: bytes, observation: Observation) -> list[Finding]:
    """What the oracles of these names find wrong with a run. Raises KeyError for a name that is none."""
    return [finding for name in names for finding in ORACLES[name](data, observation)]
