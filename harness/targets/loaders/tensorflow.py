"""``safetensors.tensorflow``: load, load_file with both backends, save and save_file."""

from __future__ import annotations

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.loaders.loader import Loader


class Tensorflow(Loader):
    """The loader and saver for tensorflow."""

    name = "tensorflow"
    description = "safetensors.tensorflow: load, load_file (mmap, pread), save, save_file"
    memory_mb = 4096
    like = FRAMEWORKS["tensorflow"]
    # Its load, save and save_file are those of safetensors.numpy, with a conversion.
    built_on = ("safe_open", "numpy")
    # Its threads do not survive another fork.
    guarded_every = 0
    # Not with AddressSanitizer: the framework is not built with it, and takes minutes to load.
    flavours = ("sancov", "wheel")
    needs = ("tensorflow",)
    #: Importing it takes 15 seconds of CPU, which a busy machine gives it in minutes.
    start_s = 300.0
