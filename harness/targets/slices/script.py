"""Programs of target ``slices`` as the Python they stand for; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

from harness.programs import arrays
from harness.programs.scripts import generator, literal, whole
from harness.targets.slices.program import Call, Program

_INDEX = '''class Index:
    """An integer by __index__ alone."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


'''


def slice_call(program: Program, call: Call) -> str:
    """One call of a program of target ``slices``, on an open ``file``."""
    name = repr(program.tensors[call.tensor][0]) if call.tensor >= 0 else "'no such tensor'"
    if call.kind == "get_slice":
        return f"file.get_slice({name})[{call.source}]"
    if call.kind == "get_tensors":
        return "file.get_tensors()"
    if call.kind == "all_shapes":
        return "{name: file.get_slice(name).get_shape() for name in file.offset_keys()}"
    if call.kind == "no_such_tensor":
        return f"file.{call.source}({name})"
    return f"file.get_tensor({name})" if call.kind == "get_tensor" else f"file.get_slice({name}).{call.kind}()"


def explain(program: Program) -> str:
    """A program of target ``slices``: its file in words, and its calls."""
    lines = [f"# {name!r}: {dtype} {list(shape)}" for name, dtype, shape, _ in program.tensors]
    lines.append(f'with safe_open("model.safetensors", framework="numpy", backend="{program.backend}") as file:')
    lines += [f"    {slice_call(program, call)}" for call in program.calls] or ["    pass"]
    return "\n".join(lines) + "\n"


def calls(program: Program) -> str:
    """``calls()`` of a program of target ``slices``."""
    yields = [(slice_call(program, call), _expected(program, call)) for call in program.calls]
    text = f"FILE = {literal(program.tensors)}\n\n# What the file holds, as numpy reads it.\nWHOLE = {whole(program.tensors)}\n\n\n"
    if any("Index(" in source for source, _ in yields):
        text += _INDEX
    return text + generator(
        yields,
        [
            'path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"',
            "path.write_bytes(FILE)",
            f'with safetensors.safe_open(str(path), framework="numpy", backend="{program.backend}") as file:',
        ],
    )


def _expected(program: Program, call: Call) -> str:
    """Source of a function that gives what the call should give, or ``None``."""
    if call.kind == "get_tensors":
        return "lambda: WHOLE"
    if call.kind == "all_shapes":
        return f"lambda: { ({name: list(shape) for name, _, shape, _ in program.tensors})!r}"
    if call.tensor < 0:
        return "None"
    name, dtype, shape, salt = program.tensors[call.tensor]
    if call.kind == "get_shape":
        return f"lambda: {list(shape)!r}"
    if call.kind == "get_dtype":
        return f"lambda: {dtype!r}"
    if arrays.array(dtype, shape, salt) is None:
        return "None"
    return f"lambda: WHOLE[{name!r}]" + (f"[{call.source}]" if call.kind == "get_slice" else "")
