"""Programs as the Python they stand for, for people and for reproducers.

A reproducer gets a generator ``calls()`` of triples: the text of a call, a function that makes it, and one that gives what
should come back (None where nothing is known of that). It uses ``numpy`` and ``safetensors``, which are imported already.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.programs import arrays
from harness.programs.arrays import Tensors
from harness.programs.slices import Call, Program

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


def slices(program: Program) -> str:
    """A program of target ``slices``: its file in words, and its calls."""
    lines = [f"# {name!r}: {dtype} {list(shape)}" for name, dtype, shape, _ in program.tensors]
    lines.append(f'with safe_open("model.safetensors", framework="numpy", backend="{program.backend}") as file:')
    lines += [f"    {slice_call(program, call)}" for call in program.calls] or ["    pass"]
    return "\n".join(lines) + "\n"


def slices_calls(program: Program) -> str:
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


def generator(yields: Iterable[tuple[str, str]], opening: list[str]) -> str:
    """The source of ``calls()``: the lines that open something, then each call; inside it where the last is a ``with``."""
    lines = ["def calls():", *(f"    {line}" for line in opening)]
    margin = " " * (8 if opening[-1].endswith(":") else 4)
    lines += [f"{margin}yield {text!r}, lambda: {text}, {wanted}" for text, wanted in yields] or [
        f"{margin}yield from ()"
    ]
    return "\n".join(lines)


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


def whole(tensors: Tensors) -> str:
    """Source of a dict of numpy arrays of the tensors that numpy knows, cut out of FILE."""
    raw = arrays.file(tensors)
    begin = 8 + int.from_bytes(raw[:8], "little")
    lines = []
    for name, dtype, shape, salt in tensors:
        size = len(arrays.content(dtype, shape, salt))
        kind = arrays.NUMPY_NAMES.get(dtype)
        if kind is not None:
            lines.append(
                f"    {name!r}: numpy.frombuffer(FILE[{begin}:{begin + size}], {kind!r}).reshape({list(shape)}),"
            )
        begin += size
    return "{\n" + "\n".join(lines) + "\n}" if lines else "{}"


def literal(tensors: Tensors, metadata: tuple[tuple[str, str], ...] | None = None) -> str:
    """Python source of the bytes of a file, in lines."""
    raw = arrays.file(tensors, metadata)
    lines = [repr(raw[at : at + 32]) for at in range(0, len(raw), 32)]
    return "(\n" + "".join(f"    {line}\n" for line in lines) + ")"
