"""A stand-in for accelerators: torch's calls that name one run on the CPU.

Packages for other accelerators redirect the calls of CUDA programs in the same way. So code that reads onto a device runs on a
machine that has none. The parser is the real one, and so is torch.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

_WORD = re.compile(r"(cuda|mps|npu|xpu|xla|mlu|musa|hpu)(:(0|[1-9][0-9]*))?")


def redirected(make: Callable[[], Any]) -> Any:
    """Make a call with accelerators on the CPU. Pinned memory, which needs an accelerator, is plain memory there."""
    with _mode()():
        return make()


@functools.cache
def _mode() -> Any:
    """The class of torch's mode: it changes the arguments of torch's functions."""
    import torch

    class Redirected(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = dict(kwargs or {})
            if "device" in kwargs:
                kwargs["device"] = _on_cpu(kwargs["device"])
            kwargs.pop("pin_memory", None)
            if function is torch.Tensor.to:
                args = tuple(map(_on_cpu, args))
            return function(*args, **kwargs)

    return Redirected


def _on_cpu(value: Any) -> Any:
    """The CPU for an accelerator by its word or number, and any other value as it is."""
    number = isinstance(value, int) and not isinstance(value, bool)
    return "cpu" if number or (isinstance(value, str) and _WORD.fullmatch(value)) else value
