"""Layouts and types of arrays: the same values in other memory.

Reproducers carry the functions as source, so they use numpy and the standard library alone. No base is larger than its array
needs. A writer that ignores strides reads ``nbytes`` bytes from the first element on. So of :func:`backwards` and
:func:`broadcast` it reads memory of others.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy


def fortran(x: Any) -> Any:
    """In Fortran order: the first axis varies fastest in memory."""
    return numpy.array(x, order="F")


def transposed(x: Any) -> Any:
    """A view with its first and last axes swapped."""
    return numpy.array(x.swapaxes(0, -1), order="C").swapaxes(0, -1)


def strided(x: Any) -> Any:
    """Every other element of an array twice as long."""
    return numpy.repeat(x, 2, axis=-1)[..., ::2]


def cropped(x: Any) -> Any:
    """The left half of a wider array."""
    return numpy.concatenate([x, x], axis=-1, dtype=x.dtype)[..., : x.shape[-1]]


def backwards(x: Any) -> Any:
    """A view with a negative stride."""
    return numpy.array(x[::-1])[::-1]


def broadcast(x: Any) -> Any:
    """The first row repeated, by a stride of 0."""
    return numpy.broadcast_to(numpy.array(x[:1]), x.shape)


def shifted(x: Any) -> Any:
    """Without alignment: it begins one byte late."""
    y = numpy.zeros(x.nbytes + 1, "uint8")[1:].view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


def loose(x: Any) -> Any:
    """With meaningless strides for dimensions of one."""
    strides = [step if size > 1 else 4096 for step, size in zip(x.strides, x.shape, strict=True)]
    return numpy.lib.stride_tricks.as_strided(x, x.shape, strides)


def part(x: Any) -> Any:
    """The second half of a longer array."""
    return numpy.concatenate([x, x], dtype=x.dtype)[len(x) :]


def frozen(x: Any) -> Any:
    """Read-only."""
    x.flags.writeable = False
    return x


def mapped(x: Any) -> Any:
    """A memory map of a file."""
    with tempfile.TemporaryFile() as file:
        file.write(x.tobytes() + b"end")
        file.flush()
        return numpy.memmap(file, x.dtype, "r", shape=x.shape)


def masked(x: Any) -> Any:
    """Every other element masked, with the data of the array."""
    return numpy.ma.masked_array(x, mask=numpy.arange(x.size).reshape(x.shape) % 2 == 1)


class Own(numpy.ndarray):
    """A subclass of ndarray."""


def own(x: Any) -> Any:
    """An instance of a subclass."""
    return x.view(Own)


#: Layouts by number; from :data:`DENSE` on they are mostly not in C order.
LAYOUTS = (
    "", "frozen", "shifted", "loose", "part", "mapped",
    "fortran", "transposed", "strided", "cropped", "backwards", "broadcast",
)  # fmt: skip
DENSE = 6
#: Types by number, as source of an expression over the array ``{}``; from :data:`ARRAYS` on they are no arrays.
TYPES = (
    "{}", "own({})", "masked({})", "{}.view(numpy.matrix)", "{}.view(numpy.recarray)",
    "{}.reshape(-1)[0]", "{}.tolist()", "memoryview({})", "None", "1.5", "'text'", "b'bytes'", "numpy.float32", "()",
)  # fmt: skip
ARRAYS = 5
_FUNCTIONS = (
    Own, fortran, transposed, strided, cropped, backwards, broadcast, shifted, loose, part, frozen, mapped, masked, own,
)  # fmt: skip
#: The names in the expressions.
NAMES: dict[str, Any] = {"numpy": numpy, **{function.__name__: function for function in _FUNCTIONS}}
