"""The calls of programs: readers and writers of the package, of numpy and of torch."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy

from harness.parsers import api
from harness.targets.paths import tracer
from harness.targets.paths.facts import Saved
from harness.targets.paths.program import Scene, tensors


class Calls:
    """The calls of one parser. torch is loaded where it is installed."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._core = safetensors
        self._numpy = importlib.import_module("safetensors.numpy")
        self._torch: Any = None
        self._for_torch: Any = None
        if importlib.util.find_spec("torch") is not None:
            self._torch = importlib.import_module("torch")
            self._for_torch = importlib.import_module("safetensors.torch")
        self._handle = getattr(getattr(safetensors, "_safetensors_rust", None), "_safe_open_handle", None)
        self._spec = getattr(safetensors, "TensorSpec", None)
        self._api = api.of(safetensors)

    def lacks(self, scene: Scene) -> bool:
        """Whether the parser or this machine lacks the call."""
        if scene.framework == "pt" and self._torch is None:
            return True
        if scene.backend == "pread" and not self._api.has("safe_open(backend=)"):
            return True
        if scene.call == "handle" and self._handle is None:
            return True
        return scene.faulty and not tracer.injects()

    def call(self, scene: Scene, value: Any) -> Callable[[], Any]:
        """The call of a scene with that argument. A reader gives its tensors as :data:`~harness.targets.paths.program.Tensors`."""
        calls: dict[str, Callable[[], Any]] = {
            "open": lambda: self._read(scene, self._core.safe_open, value),
            "handle": lambda: self._read(scene, self._handle, value),
            "load_file": lambda: self._load(scene, value),
            "save_file": lambda: self._save(scene, value),
            "serialize_file": lambda: self._serialize(scene, value),
        }
        return calls[scene.call]

    def _read(self, scene: Scene, opening: Any, value: Any) -> Any:
        framework = "np" if scene.framework == "numpy" else "pt"
        more = {"backend": scene.backend} if self._api.has("safe_open(backend=)") else {}
        with opening(value, framework=framework, **more) as file:
            return {name: self._neutral(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - no mapping

    def _load(self, scene: Scene, value: Any) -> Any:
        more = {"backend": scene.backend} if self._api.has("numpy.load_file(backend=)") else {}
        module = self._numpy if scene.framework == "numpy" else self._for_torch
        return {name: self._neutral(one) for name, one in module.load_file(value, **more).items()}

    def _neutral(self, tensor: Any) -> tuple[str, tuple[int, ...], bytes]:
        array = tensor if isinstance(tensor, numpy.ndarray) else tensor.numpy()
        return array.dtype.name, array.shape, array.tobytes()

    def _arrays(self, scene: Scene) -> dict[str, Any]:
        return {
            name: numpy.frombuffer(raw, dtype).reshape(shape)
            for name, (dtype, shape, raw) in tensors(scene.given).items()
        }

    def _save(self, scene: Scene, value: Any) -> Saved:
        arrays = self._arrays(scene)
        if scene.framework == "numpy":
            self._numpy.save_file(arrays, value)
        else:
            self._for_torch.save_file(
                {name: self._torch.from_numpy(array.copy()) for name, array in arrays.items()}, value
            )
        return Saved()

    def _serialize(self, scene: Scene, value: Any) -> Saved:
        arrays = self._arrays(scene)
        made: dict[str, Any] = {
            name: self._spec(dtype=one.dtype.name, shape=one.shape, data_ptr=one.ctypes.data, data_len=one.nbytes)
            if self._spec is not None
            else {"dtype": one.dtype.name, "shape": list(one.shape), "data": one.tobytes()}
            for name, one in arrays.items()
        }
        self._core.serialize_file(made, value)
        return Saved()
