"""Programs of target ``slices`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect

from harness.programs import arrays, scripts
from harness.programs.scripts import Index, Script
from harness.targets.slices.program import Call, Program


def _call(program: Program, call: Call, opened: str = "file") -> str:
    """One call on an open file."""
    name = repr(program.tensors[call.tensor][0]) if call.tensor >= 0 else "'no such tensor'"
    return {
        "get_slice": f"{opened}.get_slice({name})[{call.source}]",
        "get_tensor": f"{opened}.get_tensor({name})",
        "get_tensors": f"{opened}.get_tensors()",
        "all_shapes": f"{{name: {opened}.get_slice(name).get_shape() for name in {opened}.offset_keys()}}",
        "no_such_tensor": f"{opened}.{call.source}({name})",
    }.get(call.kind, f"{opened}.get_slice({name}).{call.kind}()")


def explain(program: Program) -> str:
    """A program: its file in words, and its calls."""
    lines = scripts.described(program.tensors)
    lines.append(f'with safe_open("model.safetensors", framework="numpy", backend="{program.backend}") as file:')
    lines += [f"    {_call(program, call)}" for call in program.calls] or ["    pass"]
    return "\n".join(lines) + "\n"


def script(program: Program) -> Script:
    """The file, and the calls on it."""
    opened = f'opened = safe_open(path, framework="numpy"{scripts.backend(program.backend)})'
    setup = scripts.tensors_file(program.tensors) + opened
    calls = [scripts.Call(call.kind, _call(program, call, "opened"), _wanted(program, call)) for call in program.calls]
    index = scripts.plain(inspect.getsource(Index)) + "\n\n\n" if any("Index(" in call.source for call in calls) else ""
    return Script(index + setup, tuple(calls))


def _wanted(program: Program, call: Call) -> str:
    """Source of the right value; "" where there is none."""
    if call.kind == "get_tensors":
        read = {name: _array(dtype, shape, salt) for name, dtype, shape, salt in program.tensors}
        return "{" + ", ".join(f"{name!r}: {text}" for name, text in read.items()) + "}" if all(read.values()) else ""
    if call.kind == "all_shapes":
        return repr({name: list(shape) for name, _, shape, _ in program.tensors})
    if call.tensor < 0:
        return ""
    _, dtype, shape, salt = program.tensors[call.tensor]
    if call.kind in ("get_shape", "get_dtype"):
        return repr(list(shape) if call.kind == "get_shape" else dtype)
    text = _array(dtype, shape, salt)
    if call.kind != "get_slice" or not text:
        return text
    try:
        arrays.array(dtype, shape, salt)[call.index]
    except Exception:
        return scripts.REFUSED
    return f"{text}[{call.source}]"


def _array(dtype: str, shape: tuple[int, ...], salt: int) -> str:
    """Source of an array; "" where numpy has none."""
    return (
        ""
        if arrays.array(dtype, shape, salt) is None
        else scripts.array(dtype, shape, arrays.content(dtype, shape, salt))
    )
