"""Reads for paddle: parts, wholes and values that are kept."""

from __future__ import annotations

from types import MappingProxyType

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.base import UNCAUGHT
from harness.targets.framework_readers.reader import Reader


class PaddleReaders(Reader):
    """Programs of reads with ``framework="paddle"``."""

    name = "paddle_readers"
    description = "safe_open and load(_file) for paddle: parts, both backends, values kept and overwritten, by programs"
    like = FRAMEWORKS["paddle"]
    memory_mb = 4096
    # A tensor of paddle may end the process where it is let go, long after the call that made it.
    runs_in_fork_server = True
    foreign = MappingProxyType({"paddle": (UNCAUGHT,)})
    flavours = ("sancov", "wheel")
    needs = ("paddle",)
    extra = "paddle"
    start_s = 300.0
    built_on = ("paddle", "slices", "quantized", "parallel", "safe_open")
