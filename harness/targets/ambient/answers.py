"""The answer of a call in one form for all calls, and the answer on a machine of the other byte order."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from harness.format.dtypes import DTYPE_BITS
from harness.format.judge import judge
from harness.programs.arrays import WRITER_DTYPES
from harness.programs.frameworks import FRAMEWORKS

#: The fields in which a tensor may differ, in the words of signatures.
FIELDS = ("dtype", "shape", "device", "bytes")
#: The dtypes of the format by the words of numpy and torch.
_CODES = {word: code for code, word in WRITER_DTYPES.items()}


class Held(NamedTuple):
    """A tensor: the word for its dtype, its shape, its device, and its bytes; None where the device keeps none."""

    dtype: str
    shape: tuple[int, ...]
    device: str
    data: bytes | None


class Tensors(NamedTuple):
    """Tensors sorted by name, and the rest of the answer. Their order is free where some are empty, and other targets look at it."""

    tensors: tuple[tuple[str, Held], ...]
    rest: Any = None


class File(NamedTuple):
    """The bytes of a written file."""

    data: bytes


class Raw(NamedTuple):
    """Names, metadata, and the bytes of files: values without a byte order."""

    value: Any


Answer = Tensors | File | Raw


def held(tensor: Any) -> Held:
    """A tensor of numpy, torch or paddle, read outside all states."""
    dtype = str(tensor.dtype).rpartition(".")[2]
    shape = tuple(map(int, tensor.shape))
    if hasattr(tensor, "place"):
        return Held(dtype, shape, str(tensor.place), b"" if 0 in shape else tensor.numpy().tobytes())
    if not hasattr(tensor, "device") or isinstance(tensor.device, str):
        return Held(dtype, shape, "cpu", tensor.tobytes())
    tensor = tensor.detach()
    device = str(tensor.device)
    if device == "meta":
        return Held(dtype, shape, device, None)
    return Held(dtype, shape, device, b"" if 0 in shape else _bytes_of_torch()(tensor))


def or_refusal(save: Callable[[], bytes]) -> bytes | str:
    """The file, or torch's words on tensors that share memory, which are not to be saved."""
    try:
        return save()
    except RecursionError:
        raise
    except RuntimeError as error:
        return str(error).partition("\n")[0]


@cache
def _bytes_of_torch() -> Callable[[Any], bytes]:
    like = FRAMEWORKS["torch"]
    return like.reader(like.modules())


def tensors(given: dict[str, Any], rest: Any = None) -> Tensors:
    """The answer of a call that gives tensors by name."""
    return Tensors(tuple((name, held(given[name])) for name in sorted(given)), rest)


def swapped(answer: Answer) -> Answer:
    """The same answer on a machine of the other byte order.

    The format is little-endian. So the same memory means other numbers there: a reader gives elements with their bytes reversed,
    and a writer stores the bytes of each element in reverse.
    """
    if isinstance(answer, Tensors):
        turned = tuple((name, one._replace(data=_swapped(one.data, one.dtype))) for name, one in answer.tensors)
        return Tensors(turned, answer.rest)
    if isinstance(answer, File):
        header = judge(answer.data).header
        if header is None:
            return answer
        data = bytearray(answer.data)
        for tensor in header.tensors:
            begin, end = 8 + header.size + tensor.begin, 8 + header.size + tensor.end
            data[begin:end] = _reversed(header.payload(answer.data, tensor), _width(tensor.dtype))
        return File(bytes(data))
    return answer


def _swapped(data: bytes | None, dtype: str) -> bytes | None:
    return data if data is None else _reversed(data, _width(_CODES.get(dtype, "U8")))


def _width(code: str) -> int:
    """Bytes that change places with each other: those of an element, or of one of the two parts of a complex number."""
    return 4 if code == "C64" else max(1, DTYPE_BITS[code] // 8)


def _reversed(data: bytes, width: int) -> bytes:
    return b"".join(data[at : at + width][::-1] for at in range(0, len(data), width))


def difference(wanted: Answer, got: Answer) -> str:
    """The first thing in which two answers differ, in words that are the same for the same defect; "" for none."""
    if wanted == got:
        return ""
    if isinstance(wanted, Tensors) and isinstance(got, Tensors):
        names = [name for name, _ in wanted.tensors], [name for name, _ in got.tensors]
        if names[0] != names[1]:
            return "names"
        for (_, one), (_, other) in zip(wanted.tensors, got.tensors, strict=True):
            for field, word in zip(("dtype", "shape", "device", "data"), FIELDS, strict=True):
                if getattr(one, field) != getattr(other, field):
                    return f"{word} of an empty tensor" if 0 in one.shape else word
        return "answer"
    if isinstance(wanted, File) and isinstance(got, File):
        return "bytes of the file"
    return "answer"
