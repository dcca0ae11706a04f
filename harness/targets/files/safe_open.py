"""``safetensors.safe_open``: open, keys, offset_keys, metadata, then every tensor, from a file that lives in memory."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

from harness.observation import ACCEPT, PANIC, REJECT, Observation, Reading, Run, classify, describe
from harness.programs import guarded, scripts
from harness.programs.scripts import Script
from harness.targets.base import Target

# numpy's one-letter type codes; 'l' and 'q' are both 64-bit integers on Linux.
_DTYPE_OF_CHAR = {
    "?": "BOOL", "B": "U8", "b": "I8", "h": "I16", "H": "U16", "e": "F16", "i": "I32", "I": "U32", "f": "F32",
    "l": "I64", "L": "U64", "q": "I64", "Q": "U64", "d": "F64", "F": "C64",
}  # fmt: skip
# numpy has no bfloat16 of its own, but takes the name once something has imported ml_dtypes.
_DTYPE_OF_NAME = {"bfloat16": "BF16"}


class SafeOpen(Target):
    """The lazy reader that people call, with numpy as its framework and a memfd as its file (no disk)."""

    name = "safe_open"
    drives = (("values layout", "safe_open safe_open.get_tensor safe_open.*keys safe_open.metadata safe_open.__e*__"),)
    description = "safe_open(path, framework='numpy'): keys, offset_keys, metadata, every get_tensor"

    def open(self, safetensors: ModuleType | None) -> Run:
        """Prepare to run inputs in this process."""
        assert safetensors is not None
        safe_open = safetensors.safe_open
        refusal: type[Exception] = safetensors.SafetensorError
        descriptor = os.memfd_create("safe_open-input")
        path = f"/proc/self/fd/{descriptor}"
        tail = guarded.tail

        def run(data: bytes) -> Observation:
            # Shrinking a file that is still mapped would be a SIGBUS at the next read. Nothing maps it here: arrays are
            # copies, and leaving the context manager drops the mapping even while an exception keeps the reader alive.
            os.ftruncate(descriptor, len(data))
            os.pwrite(descriptor, data, 0)
            tail(descriptor)
            try:
                with safe_open(path, framework="numpy") as file:
                    return _read(file, refusal)
            except refusal as error:
                return REJECT, error.args[0], error
            except BaseException as error:
                return classify(error, (refusal,))

        return run

    def reading(self, value: Any) -> Reading:
        """The neutral form of an accepted run."""
        assert isinstance(value, Reading)
        return value

    def script(self, data: bytes) -> Script:
        """A file, and its reading."""
        opened = 'safe_open(path, framework="numpy")'
        call = scripts.one_by_one("safe_open", opened, ".get_tensor({})", data)
        return Script("\n".join([*scripts.read_file(data), "path = stored(FILE)"]), (call,), scripts.ARRAY, opened)


def _read(file: Any, refusal: type[Exception]) -> Observation:
    """Everything the open file gives. One tensor that fails does not hide the others."""
    tensors: list[tuple[str, dict[str, Any]]] = []
    partial: dict[str, str] | None = None
    outcome, first = ACCEPT, ""
    for name in file.keys():  # noqa: SIM118 - the reader is no mapping
        try:
            array = file.get_tensor(name)
        except refusal as error:
            partial = partial or {}
            partial[name] = describe(error)
        except BaseException as error:
            kind, text, _ = classify(error, (refusal,))
            if outcome != PANIC:
                outcome, first = (kind, text) if kind == PANIC or outcome == ACCEPT else (outcome, first)
            partial = partial or {}
            partial[name] = text
        else:
            dtype = _DTYPE_OF_CHAR.get(array.dtype.char) or _DTYPE_OF_NAME.get(array.dtype.name, array.dtype.name)
            tensors.append((name, {"dtype": dtype, "shape": list(array.shape), "data": array.tobytes()}))
    # Older releases have no such call.
    by_offset = file.offset_keys() if hasattr(file, "offset_keys") else None
    return outcome, first, Reading(tensors, file.metadata(), by_offset, partial)
