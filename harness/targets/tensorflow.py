"""``safetensors.tensorflow``: load, load_file with both backends, save and save_file."""

from __future__ import annotations

from harness.targets.loaders import Loader


class Tensorflow(Loader):
    """The loader and saver for tensorflow."""

    name = "tensorflow"
    description = "safetensors.tensorflow: load, load_file (mmap, pread), save, save_file"
    memory_mb = 4096
    framework = "tf"
    module = "safetensors.tensorflow"
    needs = ("tensorflow",)
    packages = ("tensorflow-cpu",)
    imports = ("tensorflow",)
    kind = "tensorflow.Tensor"
    raw = "tensor.numpy().tobytes()"
