"""The frameworks that safetensors has modules for, and their tensors in the neutral form of observations.

Expressions are text, because reproducers need them, too. They know the modules of ``imports`` by their last name.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.format.encode import pack
from harness.observation import describe

#: Names of the format's dtypes in frameworks. All frameworks use the same names, and each has some of them.
DTYPE_OF_WORD = {
    "bool": "BOOL", "bool_": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32",
    "int32": "I32", "uint64": "U64", "int64": "I64", "float16": "F16", "bfloat16": "BF16", "float32": "F32",
    "float64": "F64", "float8_e4m3fn": "F8_E4M3", "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2": "F8_E5M2",
    "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e8m0fnu": "F8_E8M0", "complex64": "C64", "float4_e2m1fn_x2": "F4",
}  # fmt: skip


@dataclass(frozen=True)
class Framework:
    """A framework.

    ``word`` names it for ``safe_open``; ``module`` is the module of safetensors for it. ``kind`` is an expression for the type
    of its tensors, and ``raw`` one for the bytes of ``tensor``. ``write`` is a statement that overwrites ``tensor`` in place
    by ``octets``, a flat array of numpy of its bytes; "" where no tensor of the framework can change.
    """

    word: str
    module: str
    imports: tuple[str, ...]
    kind: str
    raw: str
    write: str = ""

    def modules(self) -> dict[str, Any]:
        """The modules of its expressions, imported. Raises HarnessError where one is there and does not import."""
        found = {}
        for name in self.imports:
            try:
                found[name.rpartition(".")[2]] = importlib.import_module(name)
            except BaseException as error:  # whatever a broken installation does
                if isinstance(error, KeyboardInterrupt):
                    raise
                raise HarnessError(f"{name} is installed and does not import: {describe(error)}",
                                   hint=f"mend it: python -c 'import {name}'") from error  # fmt: skip
        return found

    def reader(self, modules: Mapping[str, Any]) -> Callable[[Any], bytes]:
        """A function that gives the bytes of a tensor with at least one element, in C order."""
        read: Callable[[Any], bytes] = eval(f"lambda tensor: {self.raw}", dict(modules))  # noqa: S307 - our own text
        return read

    @contextlib.contextmanager
    def usable(self, name: str) -> Iterator[None]:
        """Turn a failure inside into a HarnessError: the module of safetensors does not work with the installed ``name``."""
        try:
            yield
        except HarnessError:
            raise
        except Exception as error:
            raise HarnessError(f"{self.module} cannot be used with this {name}: {describe(error)}",
                               hint=f"try: python -c 'import {self.module}'") from error  # fmt: skip


FRAMEWORKS: Mapping[str, Framework] = {
    "numpy": Framework(
        "numpy", "safetensors.numpy", ("numpy",), "numpy.ndarray", "tensor.tobytes()",
        "tensor[...] = octets.view(tensor.dtype).reshape(tensor.shape)",
    ),
    # Torch says of a tensor with one element, or with one dimension, that it is contiguous with any stride. A copy of a
    # boolean makes its byte 0 or 1, so numbers are copied.
    "torch": Framework(
        "pt", "safetensors.torch", ("torch",), "torch.Tensor",
        "tensor.view((torch.uint8, torch.int16, torch.int32, torch.int64)[tensor.itemsize.bit_length() - 1])"
        ".clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8).numpy().tobytes()",
        "tensor.copy_(torch.from_numpy(octets).view(tensor.dtype).reshape(tensor.shape))",
    ),
    # The binding imports flax with the first tensor that it makes: here it is imported before, and counts for no run.
    "flax": Framework(
        "flax", "safetensors.flax", ("jax", "flax", "numpy"), "jax.Array", "numpy.asarray(tensor).tobytes()",
    ),
    # numpy() turns a tensor without dimensions into a scalar of numpy's, and that of a boolean forgets its byte.
    "tensorflow": Framework(
        "tf", "safetensors.tensorflow", ("tensorflow",), "tensorflow.Tensor",
        "tensorflow.reshape(tensor, [-1]).numpy().tobytes()",
    ),
    # No operation of its own comes first: it has none for unsigned numbers past eight bits, which it can hold and read.
    "paddle": Framework(
        "paddle", "safetensors.paddle", ("paddle",), "paddle.Tensor", "tensor.numpy().tobytes()",
        "tensor.copy_(paddle.to_tensor(octets).view(tensor.dtype).reshape(tensor.shape), True)",
    ),
    "mlx": Framework(
        "mlx", "safetensors.mlx", ("mlx.core", "numpy"), "core.array",
        "numpy.asarray(tensor.reshape(-1).view(core.uint8)).tobytes()",
        "tensor[...] = core.array(octets).view(tensor.dtype).reshape(tensor.shape)",
    ),
}  # fmt: skip


def for_paddle() -> tuple[Any, Any] | None:
    """paddle, and the module of safetensors for it; None where paddle is not installed. Raises HarnessError where one does not work.

    A file is opened for numpy first. 0.8.0 reads nothing by pread for paddle before that (crashes/defects/paddle-pread.toml), so
    calls would end by what ran before them.
    """
    if importlib.util.find_spec("paddle") is None:
        return None
    like = FRAMEWORKS["paddle"]
    (paddle,) = like.modules().values()
    with like.usable("paddle"):
        own = importlib.import_module(like.module)
    # Else a signal that is to end the process ends it as another one.
    paddle.disable_signal_handler()
    descriptor = os.memfd_create("empty")
    try:
        os.pwrite(descriptor, pack([]), 0)
        with importlib.import_module("safetensors").safe_open(f"/proc/self/fd/{descriptor}", "numpy"):
            pass
    finally:
        os.close(descriptor)
    return paddle, own


def state_of_torch(tensor: Any) -> str:
    """A word for a tensor of torch that cannot be changed or differentiated as others can, and a space; "" for others."""
    if getattr(tensor, "is_inference", bool)():
        return "inference "
    return "differentiable " if getattr(tensor, "requires_grad", False) is True else ""


class Tensors:
    """The tensors of one framework in the neutral form."""

    def __init__(self, like: Framework, modules: Mapping[str, Any]) -> None:
        self._kind: Any = eval(like.kind, dict(modules))  # noqa: S307 - our own text
        self._raw = like.reader(modules)
        self._words: dict[Any, str] = {}

    def held(self, tensor: Any) -> dict[str, Any]:
        """Dtype of the format, shape in elements and bytes; the framework's own word for another dtype.

        The dtype of a tensor of torch that may not be used as others says so: an inference tensor, or one with gradients.
        """
        if not isinstance(tensor, self._kind):
            return {"dtype": f"a {type(tensor).__name__}", "shape": [], "data": b""}
        dtype = self._words.get(tensor.dtype)
        if dtype is None:
            word = (getattr(tensor.dtype, "name", None) or str(tensor.dtype).rpartition(".")[2]).lower()
            if getattr(tensor.dtype, "byteorder", "=") == ">":
                word = f"big-endian {word}"
            self._words[tensor.dtype] = dtype = DTYPE_OF_WORD.get(word, word)
        shape = list(tensor.shape)
        data = b"" if 0 in shape else self._raw(tensor)
        if dtype == "F4" and shape:
            # Two to a byte: the frameworks count bytes, the format counts elements.
            shape[-1] *= 2
        return {"dtype": f"{state_of_torch(tensor)}{dtype}", "shape": shape, "data": data}
