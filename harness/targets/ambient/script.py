"""Programs of target ``ambient`` in words that are close to Python."""

from __future__ import annotations

from harness.programs import scripts
from harness.targets.ambient.program import INDICES, MODULES, NAMES, ON_FILE, PATHS, STRICT, WITH_PATH, Call, Program
from harness.targets.ambient.states import STATES

_MODULE = {"numpy": "safetensors.numpy", "pt": "safetensors.torch", "paddle": "safetensors.paddle"}


def explain(program: Program) -> str:
    """The tensors, and each call within its states."""
    lines = scripts.described(program.tensors)
    lines.append(f"metadata = {None if program.metadata is None else dict(program.metadata)}")
    for call in program.calls:
        inside = _source(call, program)
        for number in call.states:
            lines.append(f"# within: {STATES[number].words}")
        lines.append(inside)
    return "\n".join(lines) + "\n"


def _source(call: Call, program: Program) -> str:
    module = _MODULE[call.framework]
    path = ""
    if call.kind in WITH_PATH:
        text, _ = PATHS[call.path]
        path = text.format(here="/folder", name="model.safetensors", folder="folder")
        path = path if path.startswith("Path") else repr(path)
    backend = f'"{call.framework}"{scripts.backend(call.backend)}'
    if call.kind in ("open", "open_handle"):
        given = path if call.kind == "open" else f'open({path}, "rb")'
        return f"file = {'safe_open' if call.kind == 'open' else '_safe_open_handle'}({given}, {backend})"
    if call.kind == "close":
        return "file.__exit__(None, None, None)"
    if call.kind in ON_FILE:
        name = NAMES[call.first % len(program.tensors)]
        index = INDICES[call.second % len(INDICES)]
        return {
            "get_tensor": f"file.get_tensor({name!r})",
            "get_tensors": "file.get_tensors()",
            "get_slice": f"file.get_slice({name!r})[{index}]",
            "index": f"part[{index}]  # part = file.get_slice({name!r}), made outside",
            "names": "file.keys(), file.offset_keys(), file.metadata()",
        }[call.kind] + f"  # {backend}"
    if call.kind in MODULES:
        strict = f", strict={STRICT[call.first % len(STRICT)]}{scripts.backend(call.backend)}"
        more = strict if call.kind == "load_model" else ""
        return f"{module}.{call.kind}(model, {path}{more})"
    return {
        "load": f"{module}.load(FILE)",
        "load_file": f"{module}.load_file({path}{scripts.backend(call.backend)})",
        "deserialize": "safetensors.deserialize(FILE)",
        "save": f"{module}.save(tensors, metadata)",
        "save_shared": f"{module}.save({{**tensors, 'shared': the first of them}}, metadata)",
        "save_file": f"{module}.save_file(tensors, {path}, metadata)",
        "serialize": "safetensors.serialize(specs, metadata)",
        "serialize_file": f"safetensors.serialize_file(specs, {path}, metadata)",
    }[call.kind]
