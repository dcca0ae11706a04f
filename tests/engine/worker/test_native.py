from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.engine.worker.native import NativeCounters
from harness.errors import EngineError


def test_a_module_without_counters_is_said_to_have_none() -> None:
    import _struct

    with pytest.raises(EngineError, match="no coverage counters"):
        NativeCounters(Path(_struct.__file__ or sys.executable))
