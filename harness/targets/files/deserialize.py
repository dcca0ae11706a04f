"""``safetensors.deserialize``: the whole file as bytes, every tensor read at once."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from harness.observation import ACCEPT, NOT_READ, REJECT, Observation, Reading, Run, classify
from harness.programs import guarded, scripts
from harness.programs.scripts import Script
from harness.targets.base import Target


class Deserialize(Target):
    """The parser's core with the thinnest layer above it: the fastest target, and the deepest per CPU second."""

    name = "deserialize"
    drives = (("values layout", "deserialize"),)
    description = "safetensors.deserialize(bytes)"
    guarded_every = 2048
    inner_loop = True

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run inputs in this process."""
        assert safetensors is not None
        deserialize = safetensors.deserialize
        refusal: type[Exception] = safetensors.SafetensorError
        text = guarded.text

        def run(data: bytes) -> Observation:
            try:
                return ACCEPT, "", deserialize(text(data))
            except refusal as error:
                return REJECT, error.args[0], error
            except BaseException as error:
                return classify(error, (refusal,))

        return run

    def reading(self, value: Any) -> Reading:
        """The neutral form of an accepted run."""
        return Reading(tensors=value, metadata=NOT_READ)

    def script(self, data: bytes) -> Script:
        """A file, and its reading."""
        source = "safetensors.deserialize(FILE)"
        call = scripts.Call("deserialize", source, tensors=f"dict({source})")
        return Script("\n".join(scripts.read_file(data)), (call,), scripts.DESCRIBED)
