"""Saves of paddle: tensors as users hold them."""

from __future__ import annotations

from types import MappingProxyType

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.base import UNCAUGHT
from harness.targets.framework_writers.writer import Writer


class PaddleWriters(Writer):
    """Programs of saves with ``safetensors.paddle``."""

    name = "paddle_writers"
    description = "safetensors.paddle: save and save_file of every layout and dtype, and load(_file) of it, by programs"
    like = FRAMEWORKS["paddle"]
    memory_mb = 4096
    # A tensor of paddle may end the process where it is let go, long after the call that made it.
    runs_in_fork_server = True
    foreign = MappingProxyType({"paddle": (UNCAUGHT,)})
    needs = ("paddle",)
    extra = "paddle"
    start_s = 300.0
    built_on = ("writers", "paddle", "safe_open")
