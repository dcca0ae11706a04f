"""Writers that are interrupted at chosen points, and the comparison of what they write and read with what it may be."""

from __future__ import annotations

import gc
import importlib
import json
from collections.abc import Callable
from typing import Any

import numpy

from harness.targets.lifetimes.faults import faulting
from harness.targets.lifetimes.kit import (
    CODES,
    FILES,
    NEXT,
    OVERWRITTEN,
    REPLACED,
    Plan,
    Watched,
    _watched_tensor,
    armed,
    churn,
    collecting,
    content,
    held,
    mapping,
    other,
    path,
)


def overwrite(value: Any, code: str, shape: tuple[int, ...], salt: int, holder: str) -> None:
    """Other content in the memory of a value."""
    data = numpy.frombuffer(content(code, shape, salt + OVERWRITTEN), "uint8")
    if holder == "swapped":
        data = data.view(CODES[code]).byteswap().view("uint8")
    whole = value.numpy() if hasattr(value, "numpy") else value.view(numpy.ndarray)
    whole.reshape(-1).view("uint8")[:] = data


def module(tensors: dict[str, Any]) -> Any:
    """A module of torch with these tensors as buffers."""
    made = importlib.import_module("torch").nn.Module()
    for name, tensor in tensors.items():
        made.register_buffer(name, tensor)
    return made


def loaded(number: int, load: Callable[[Any], Any]) -> dict[str, Any]:
    """The tensors of a module of zeros in the form of file ``number``, after ``load`` of the module."""
    torch = importlib.import_module("torch")
    zeros = {name: torch.zeros(shape, dtype=getattr(torch, CODES[code])) for name, code, shape, _ in FILES[number]}
    made = module(zeros)
    load(made)
    return dict(made.state_dict())


class Writing:
    """One call of a writer: the mapping that it gets, and the act at a point of the call.

    ``tensors`` are (name, dtype, shape, salt, holder). ``place`` is the point of the act. At "item" the mapping is
    about to give value ``number``. At "dtype", "shape", "pointer" and "size" an attribute of that value is asked for. At
    "path" it is ``__fspath__``. At "fault" the writer reads the value's memory. At "collection" the garbage collector
    runs at the ``number``-th new container.
    """

    def __init__(
        self, way: str, kind: str, tensors: list[Any], place: str, number: int, act: str, on: int, apart: bool
    ):
        self.way, self.framework = way, way.rpartition(".")[0]
        self.sources = {one[0]: one for one in tensors}
        self.names = list(self.sources)
        self.act, self.on = act, self.names[on % len(self.names)] if tensors else ""
        go: Callable[[], Any] = other(self.go) if apart and place != "fault" else self.go
        self.plan = Plan(place, number, go if act else None)
        #: Memory behind specs: the caller of ``serialize`` keeps it.
        self.kept: list[Any] = []
        self.touched: Any = None
        self.given, self.store = mapping(kind, self.sources, self.make)
        if way == "torch.save_model":
            self.given = module(self.given)
            # Acts change the module.
            self.store = vars(self.given)["_buffers"]

    def make(self, source: Any, more: int = 0) -> Any:
        """The value of a source."""
        name, code, shape, salt, holder = source
        number = self.names.index(name)
        self.plan.reach("item", number)
        array = held(self.holder(holder), code, shape, salt + more)
        if self.framework == "torch":
            array = importlib.import_module("torch").from_numpy(array)
            if holder == "swapped" and self.way == "torch.save_model":
                # The state that is saved gets a copy in the usual order, which the state alone holds.
                array = array.mT.contiguous().mT if array.dim() > 1 else array
        if self.plan.place in ("dtype", "shape", "pointer", "size") and self.plan.number == number and self.framework:
            array = _watched_tensor(array) if self.framework == "torch" else array.view(Watched)
            array.plan, array.number = self.plan, number
        if self.plan.place == "fault" and self.plan.number == number:
            self.touched = array
        if self.framework == "paddle":
            return importlib.import_module("paddle").from_dlpack(array)
        if self.framework:
            return array
        self.kept.append(array)
        spec = importlib.import_module("safetensors").TensorSpec
        return spec(dtype=CODES[code], shape=list(shape), data_ptr=array.ctypes.data, data_len=array.nbytes)

    def holder(self, wanted: str) -> str:
        """The holder of a value: numpy alone has arrays of the other byte order."""
        return "watched" if wanted == "swapped" and self.framework != "numpy" else wanted

    def go(self) -> None:
        """The act."""
        store, name = self.store, self.on
        if self.act == "collect":
            gc.collect(0)
        elif self.act == "churn":
            churn()
        elif self.act == "again":
            self.call(path("again.safetensors"))
        elif name not in store:
            return
        elif self.act == "clear":
            store.clear()
        elif self.act == "pop":
            store.pop(name)
        elif self.act == "replace":
            source = self.sources[name]
            changed = (*source[:3], source[3] + REPLACED, source[4])
            store[name] = changed if isinstance(dict.get(store, name), tuple) else self.make(changed)
        elif self.act == "overwrite":
            value = dict.get(store, name)
            if not isinstance(value, tuple) and self.framework:
                code, shape, salt, holder = self.sources[name][1:]
                overwrite(value, code, shape, salt, self.holder(holder))

    def call(self, where: Any) -> bytes:
        """Call the writer; the file that it makes."""
        package = importlib.import_module(f"safetensors.{self.framework}" if self.framework else "safetensors")
        function = getattr(package, self.way.rpartition(".")[2])
        if not self.way.endswith(("_file", "_model")):
            return bytes(function(self.given))
        function(self.given, where)
        with open(where, "rb") as made:
            return made.read()

    def run(self) -> Any:
        """Call the writer, with the act at its point; the content of the file by name."""
        where = path("out.safetensors")
        plan = self.plan
        if plan.place == "collection" and plan.act is not None:
            return decoded(collecting(lambda: self.call(where), plan.act, plan.number))
        if plan.place == "fault" and plan.act is not None and self.touched is not None:
            return decoded(faulting(lambda: self.call(where), lambda: plan.reach("fault", plan.number), self.touched))
        return decoded(self.call(armed(where, lambda: plan.reach("path", plan.number))))


def written(way: str, kind: str, tensors: list[Any], place: str = "", number: int = 0, act: str = "", on: int = 0, apart: bool = False) -> Any:  # fmt: skip
    """The content of the file that a writer makes of a mapping of these tensors, by name; see :class:`Writing`."""
    return Writing(way, kind, tensors, place, number, act, on, apart).run()


def decoded(raw: bytes) -> Any:
    """The tensors of a file by name: dtype, shape, bytes."""
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    return {
        name: (
            one["dtype"],
            tuple(one["shape"]),
            raw[8 + size + one["data_offsets"][0] : 8 + size + one["data_offsets"][1]],
        )
        for name, one in header.items()
    }


def plain(value: Any) -> Any:
    """The tensors that a reader gives, by name: dtype, shape, bytes. A single tensor has the name ""."""
    if isinstance(value, list):  # of deserialize
        return {name: (one["dtype"], tuple(one["shape"]), bytes(one["data"])) for name, one in value}
    if isinstance(value, dict):
        return {name: plain(one)[""] for name, one in value.items()}
    array = value.numpy() if hasattr(value, "numpy") else value
    code = next((code for code, name in CODES.items() if name == array.dtype.name), array.dtype.name)
    return {"": (code, array.shape, array.tobytes())}


def versions(sources: list[Any], act: str, on: int, kind: str) -> Any:
    """The allowed versions of each tensor, by name: as it was when the call began, and as the act makes it."""
    allowed = {}
    for at, (name, code, shape, salt, _) in enumerate(sources):
        salts = [salt]
        if at == on % len(sources):
            salts += [salt + REPLACED] * (act == "replace") + [salt + OVERWRITTEN] * (act == "overwrite")
        salts += [one + NEXT * turn for turn in range(1, 9) for one in salts] if kind == "changing" else []
        allowed[name] = [(code, shape, content(code, shape, one)) for one in salts]
    return allowed


def whole(number: int) -> Any:
    """The one allowed version of each tensor of file ``number``, by name."""
    return {name: [(code, shape, content(code, shape, salt))] for name, code, shape, salt in FILES[number]}


def strange(found: Any, allowed: Any, missing: bool = False, mixed: bool = False) -> str:
    """How tensors differ from all that they may be, in one word; "" where they do not.

    ``missing``: names may be absent. ``mixed``: each byte may be of another version than the next.
    """
    if not found.keys() <= allowed.keys() or not (missing or found.keys() == allowed.keys()):
        return "names"
    for name, (code, shape, raw) in found.items():
        alike = [data for one, form, data in allowed[name] if (one, tuple(form)) == (code, tuple(shape))]
        if not alike:
            return "header"
        if raw in alike:
            continue
        if not mixed or not all(byte in bytes_ for byte, *bytes_ in zip(raw, *alike, strict=True)):
            return "bytes"
    return ""
