"""The entry points of the library as single calls, whose cost the meter counts.

Calls are source code, like the statements of ``timeit``: the measured process and reproducers run them without the harness.
``path`` is the file, ``name`` a tensor in it. ``safetensors``, ``safetensors.numpy`` and ``pathlib`` are imported.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One call. ``code`` is an expression. ``setup`` runs before it, and the meter does not count it.

    ``text`` and ``data`` name the parts of a file (:class:`harness.mutate.growth.Grown`) that the call needs: JSON, and bytes
    of tensors. ``result`` is the returned array. All other parts must cost nothing.
    """

    code: str
    setup: str = ""
    text: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


_BYTES = "data = pathlib.Path(path).read_bytes()"
_ARRAYS = "arrays = safetensors.numpy.load(pathlib.Path(path).read_bytes())"
_SPECS = (
    f"{_ARRAYS}\n"
    "specs = {name: safetensors.TensorSpec(dtype=array.dtype.name, shape=array.shape, data_ptr=array.ctypes.data,"
    " data_len=array.nbytes) for name, array in arrays.items()}"
)
_META = "metadata = safetensors.safe_open(path, framework='numpy').metadata()"


def _open(backend: str) -> str:
    # Without an argument for the default: older releases have no backends.
    return f"safetensors.safe_open(path, framework='numpy'{backend})"


def _reading(suffix: str, backend: str) -> dict[str, Call]:
    """The calls that read data, once for each backend."""
    file = f"file = {_open(backend)}"
    part = f"{file}\npart = file.get_slice(name)"
    return {
        f"safe_open{suffix}": Call(_open(backend), text=("header",)),
        f"get_tensor{suffix}": Call("file.get_tensor(name)", file, ("entry",), ("result",)),
        f"get_tensors{suffix}": Call("file.get_tensors()", file, ("header",), ("buffer",)),
        f"slice-first{suffix}": Call("part[:1]", part, ("entry",), ("result",)),
        f"slice-column{suffix}": Call("part[:, :1]", part, ("entry",), ("result",)),
        f"slice-step{suffix}": Call("part[::2]", part, ("entry",), ("result",)),
        f"numpy.load_file{suffix}": Call(
            f"safetensors.numpy.load_file(path{backend})", text=("header",), data=("buffer",)
        ),
    }


CALLS: dict[str, Call] = {
    "deserialize": Call("safetensors.deserialize(data)", _BYTES, ("header",), ("buffer",)),
    "numpy.load": Call("safetensors.numpy.load(data)", _BYTES, ("header",), ("buffer",)),
    **_reading("", ""),
    **_reading("-pread", ", backend='pread'"),
    "keys": Call("file.keys()", f"file = {_open('')}", ("names",)),
    "offset_keys": Call("file.offset_keys()", f"file = {_open('')}", ("names",)),
    "metadata": Call("file.metadata()", f"file = {_open('')}", ("metadata",)),
    "get_slice": Call("file.get_slice(name).get_shape()", f"file = {_open('')}", ("entry",)),
    "serialize": Call("safetensors.serialize(specs, metadata)", f"{_SPECS}\n{_META}", ("header",), ("buffer",)),
    "serialize_file": Call(
        "safetensors.serialize_file(specs, path + '.written', metadata)", f"{_SPECS}\n{_META}", ("header",), ("buffer",)
    ),
    "numpy.save": Call("safetensors.numpy.save(arrays, metadata)", f"{_ARRAYS}\n{_META}", ("header",), ("buffer",)),
    "numpy.save_file": Call(
        "safetensors.numpy.save_file(arrays, path + '.written', metadata)", f"{_ARRAYS}\n{_META}", ("header",), ("buffer",)
    ),
}  # fmt: skip
