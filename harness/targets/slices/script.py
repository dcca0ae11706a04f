"""Programs of target ``slices`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect

from harness.programs import arrays, scripts
from harness.targets.slices.program import Call, Program


def _call(program: Program, call: Call) -> str:
    """One call on an open ``file``."""
    name = repr(program.tensors[call.tensor][0]) if call.tensor >= 0 else "'no such tensor'"
    return {
        "get_slice": f"file.get_slice({name})[{call.source}]",
        "get_tensor": f"file.get_tensor({name})",
        "get_tensors": "file.get_tensors()",
        "all_shapes": "{name: file.get_slice(name).get_shape() for name in file.offset_keys()}",
        "no_such_tensor": f"file.{call.source}({name})",
    }.get(call.kind, f"file.get_slice({name}).{call.kind}()")


def explain(program: Program) -> str:
    """A program: its file in words, and its calls."""
    lines = scripts.described(program.tensors)
    lines.append(f'with safe_open("model.safetensors", framework="numpy", backend="{program.backend}") as file:')
    lines += [f"    {_call(program, call)}" for call in program.calls] or ["    pass"]
    return "\n".join(lines) + "\n"


def calls(program: Program) -> str:
    """``calls()`` of a program."""
    yields = [(_call(program, call), _expected(program, call)) for call in program.calls]
    needs_index = any("Index(" in source for source, _ in yields)
    index = scripts.plain(inspect.getsource(scripts.Index)) + "\n\n" if needs_index else ""
    opened = f'with safetensors.safe_open(str(path), framework="numpy", backend="{program.backend}") as file:'
    body = scripts.generator(yields, (*scripts.WRITE_FILE, opened))
    return f"{scripts.file_and_arrays(program.tensors)}\n{index}{body}"


def _expected(program: Program, call: Call) -> str:
    """Source of a function that gives the expected value, or ``None``."""
    if call.kind == "get_tensors":
        return "lambda: WHOLE"
    if call.kind == "all_shapes":
        return f"lambda: { ({name: list(shape) for name, _, shape, _ in program.tensors})!r}"
    if call.tensor < 0:
        return "None"
    name, dtype, shape, salt = program.tensors[call.tensor]
    if call.kind in ("get_shape", "get_dtype"):
        return f"lambda: {(list(shape) if call.kind == 'get_shape' else dtype)!r}"
    if arrays.array(dtype, shape, salt) is None:
        return "None"
    return f"lambda: WHOLE[{name!r}]" + (f"[{call.source}]" if call.kind == "get_slice" else "")
