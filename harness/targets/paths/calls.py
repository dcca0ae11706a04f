"""The calls of programs: readers and writers of the package, of numpy, torch and paddle."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy

from harness.parsers import api
from harness.programs.frameworks import for_paddle
from harness.targets.paths import tracer
from harness.targets.paths.facts import Saved
from harness.targets.paths.program import MODULES, Scene, tensors


class Calls:
    """The calls of one parser. torch and paddle are loaded where they are installed."""

    def __init__(self, safetensors: ModuleType) -> None:
        self._core = safetensors
        self._torch: Any = None
        self._modules: dict[str, Any] = {"numpy": importlib.import_module("safetensors.numpy")}
        if importlib.util.find_spec("torch") is not None:
            self._torch = importlib.import_module("torch")
            self._modules["pt"] = importlib.import_module("safetensors.torch")
        if found := for_paddle():
            self._paddle, self._modules["paddle"] = found
        self._handle = getattr(getattr(safetensors, "_safetensors_rust", None), "_safe_open_handle", None)
        self._spec = getattr(safetensors, "TensorSpec", None)
        self._api = api.of(safetensors)

    def lacks(self, scene: Scene) -> bool:
        """Whether the parser or this machine lacks the call."""
        if scene.framework not in self._modules:
            return True
        if scene.call in MODULES and not self._api.has(f"torch.{scene.call}"):
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
            "load_model": lambda: self._load_model(scene, value),
            "save_model": lambda: self._save_model(scene, value),
        }
        return calls[scene.call]

    def _read(self, scene: Scene, opening: Any, value: Any) -> Any:
        framework = "np" if scene.framework == "numpy" else scene.framework
        more = {"backend": scene.backend} if self._api.has("safe_open(backend=)") else {}
        with opening(value, framework=framework, **more) as file:
            return {name: self._neutral(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - no mapping

    def _load(self, scene: Scene, value: Any) -> Any:
        more = {"backend": scene.backend} if self._api.has("numpy.load_file(backend=)") else {}
        read = self._modules[scene.framework].load_file(value, **more)
        return {name: self._neutral(one) for name, one in read.items()}

    def _load_model(self, scene: Scene, value: Any) -> Any:
        """The tensors of a module after the load. It has those of the file at the path before, and gets others when it is loaded."""
        more = {"backend": scene.backend} if self._api.has("torch.load_model(backend=)") else {}
        module = self._module(scene.content)
        module.register_load_state_dict_pre_hook(_fit)
        self._modules["pt"].load_model(module, value, **more)
        return {name: self._neutral(one) for name, one in module.state_dict().items()}

    def _neutral(self, tensor: Any) -> tuple[str, tuple[int, ...], bytes]:
        array = tensor if isinstance(tensor, numpy.ndarray) else tensor.numpy()
        return array.dtype.name, array.shape, array.tobytes()

    def _arrays(self, number: int) -> dict[str, Any]:
        return {
            name: numpy.frombuffer(raw, dtype).reshape(shape) for name, (dtype, shape, raw) in tensors(number).items()
        }

    def _save(self, scene: Scene, value: Any) -> Saved:
        arrays = self._arrays(scene.given)
        if scene.framework == "pt":
            arrays = {name: self._torch.from_numpy(array.copy()) for name, array in arrays.items()}
        elif scene.framework == "paddle":
            arrays = {name: self._paddle.to_tensor(array) for name, array in arrays.items()}
        self._modules[scene.framework].save_file(arrays, value)
        return Saved()

    def _save_model(self, scene: Scene, value: Any) -> Saved:
        self._modules["pt"].save_model(self._module(scene.given), value)
        return Saved()

    def _module(self, number: int) -> Any:
        """A module with the tensors of a content as buffers."""
        module = self._torch.nn.Module()
        for name, array in self._arrays(number).items():
            module.register_buffer(name, self._torch.from_numpy(array.copy()))
        return module

    def _serialize(self, scene: Scene, value: Any) -> Saved:
        arrays = self._arrays(scene.given)
        made: dict[str, Any] = {
            name: self._spec(dtype=one.dtype.name, shape=one.shape, data_ptr=one.ctypes.data, data_len=one.nbytes)
            if self._spec is not None
            else {"dtype": one.dtype.name, "shape": list(one.shape), "data": one.tobytes()}
            for name, one in arrays.items()
        }
        self._core.serialize_file(made, value)
        return Saved()


def _fit(module: Any, state: dict[str, Any], *_: Any) -> None:
    """Give a module buffers of zeros for the tensors that it is about to be loaded with, as modules of quantised weights do."""
    for name in list(module._buffers):  # noqa: SLF001 - the names without those of parts of the module
        delattr(module, name)
    for name, tensor in state.items():
        module.register_buffer(name, tensor.new_zeros(tensor.shape))
