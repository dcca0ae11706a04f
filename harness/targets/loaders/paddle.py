"""``safetensors.paddle``: load, load_file with both backends, save and save_file."""

from __future__ import annotations

from types import MappingProxyType

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.base import UNCAUGHT
from harness.targets.loaders.loader import Loader


class Paddle(Loader):
    """The loader and saver for paddle."""

    name = "paddle"
    description = "safetensors.paddle: load, load_file (mmap, pread), save, save_file"
    memory_mb = 4096
    like = FRAMEWORKS["paddle"]
    # A tensor of paddle's may end the process where it is let go, long after the call that made it.
    runs_in_fork_server = True
    # An uncaught exception of C++ is paddle's: the parser is Rust. Any other abort may be the parser's.
    foreign = MappingProxyType({"paddle": (UNCAUGHT,)})
    # Its threads do not survive another fork.
    guarded_every = 0
    # Not with AddressSanitizer: the framework is not built with it, and takes minutes to load.
    flavours = ("sancov", "wheel")
    needs = ("paddle",)
    #: Importing it takes seconds of CPU, which a busy machine gives it in minutes.
    start_s = 300.0
