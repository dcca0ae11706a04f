"""``safe_open`` by mmap against ``safe_open`` by pread: the whole read API of both, on one file, with numpy."""

from __future__ import annotations

from harness.targets.loaders import agreement
from harness.targets.loaders.loader import BACKEND_CALLS
from harness.targets.loaders.numpy import Numpy


class Backends(Numpy):
    """Two ways to the same bytes, which must agree in everything; ``deserialize`` is the third."""

    name = "backends"
    description = "safe_open by mmap and by pread: keys, offset_keys, metadata, get_tensor, get_tensors, get_slice"
    calls = BACKEND_CALLS
    drives = (("values layout", "deserialize safe_open safe_open.* PySafeSlice.*"),)
    oracles = (agreement.check,)
