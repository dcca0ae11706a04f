"""``safetensors.mlx``: load, load_file with both backends, save and save_file."""

from __future__ import annotations

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.loaders.loader import Loader


class Mlx(Loader):
    """The loader and saver for mlx."""

    name = "mlx"
    description = "safetensors.mlx: load, load_file (mmap, pread), save, save_file"
    memory_mb = 2048
    like = FRAMEWORKS["mlx"]
    # Its load, save and save_file are those of safetensors.numpy, with a conversion.
    built_on = ("safe_open", "numpy")
    # Not with AddressSanitizer: the framework is not built with it, and takes minutes to load.
    flavours = ("sancov", "wheel")
    needs = ("mlx",)
