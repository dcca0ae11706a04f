"""Reads for numpy: parts, wholes and values that are kept."""

from __future__ import annotations

from harness.programs.frameworks import FRAMEWORKS
from harness.targets.framework_readers.reader import Reader


class NumpyReaders(Reader):
    """Programs of reads with ``framework="numpy"``."""

    name = "numpy_readers"
    description = "safe_open and load(_file) for numpy: parts, both backends, values kept and overwritten, by programs"
    like = FRAMEWORKS["numpy"]
    needs = ("numpy",)
    built_on = ("numpy", "slices", "quantized", "parallel", "safe_open")
