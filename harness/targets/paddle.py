"""``safetensors.paddle``: load, load_file with both backends, save and save_file."""

from __future__ import annotations

from harness.targets.loaders import Loader


class Paddle(Loader):
    """The loader and saver for paddle."""

    name = "paddle"
    description = "safetensors.paddle: load, load_file (mmap, pread), save, save_file"
    memory_mb = 4096
    framework = "paddle"
    module = "safetensors.paddle"
    needs = ("paddle",)
    packages = ("paddlepaddle",)
    imports = ("paddle",)
    kind = "paddle.Tensor"
    raw = "tensor.reshape([-1]).view('uint8').numpy().tobytes()"
