"""Programs of target ``quantized`` as the Python they stand for; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

from harness.programs.arrays import NUMPY_NAMES
from harness.programs.scripts import generator
from harness.targets.quantized.program import LENT, Call, Held, Program, cut, file, stored_shape


def explain(program: Program) -> str:
    """A program: its file in words, how it is opened, and its calls."""
    lines = [f"# {one.name!r}: {one.dtype} {list(one.shape)}, {one.size} bytes" for one in program.tensors]
    lines += [f"# {how}" for how in program.awry]
    if not program.valid:
        lines.append("# Dtype, shape and bytes of a tensor disagree: the file is to be refused.")
    if program.lend:
        lines.append(f"for name in {tuple(LENT.values())!r}:\n    setattr(numpy, name, numpy.dtype('uint8'))")
    lines.append(f'file = safe_open("model.safetensors", framework="numpy", backend="{program.backend}")')
    lines += [_words(program, call) for call in program.calls]
    return "\n".join(lines) + "\n"


def _words(program: Program, call: Call) -> str:
    name = repr(program.tensors[call.tensor].name)
    return {
        "deserialize": "dict(deserialize(FILE))",
        "get_tensors": "file.get_tensors()",
        "get_tensor": f"file.get_tensor({name})",
        "about": f"(file.get_slice({name}).get_dtype(), file.get_slice({name}).get_shape())",
        "part": f"file.get_slice({name})[{call.source}]",
    }[call.kind]


def calls(program: Program) -> str:
    """``calls()`` of a program. Of dtypes that numpy lacks, the bytes are expected in whatever dtype stands for them."""
    names = ", ".join(f"{one.name!r}: {one.content!r}" for one in program.tensors)
    opened = f'safetensors.safe_open(str(path), framework="numpy", backend="{program.backend}")'
    text = f"FILE = {file(program.tensors)!r}\n\nCONTENT = {{{names}}}\n\n\n"
    text += (
        "def part(kind, shape, data):\n    return numpy.frombuffer(data, kind).reshape(shape)\n\n\n"
        "def refused():\n"
        '    raise ValueError("to be refused")\n\n\n'
    )
    opening = [
        'path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"',
        "path.write_bytes(FILE)",
        "files = []",
    ]
    if program.lend:
        opening.append("# numpy has no such dtypes: bytes stand in for them, to show what the parser cuts out.")
        opening.append(f"[setattr(numpy, name, numpy.dtype('uint8')) for name in {tuple(LENT.values())!r}]")
    verdict = "lambda: None" if program.valid else "refused"
    yields = [(f"files.append({opened})", verdict)]
    for call in program.calls:
        if call.kind == "deserialize":
            yields.append(
                ("dict(safetensors.deserialize(FILE))", _deserialized(program) if program.valid else "refused")
            )
        elif program.valid:
            yields.append((_words(program, call).replace("file.", "files[0]."), _expected(program, call)))
    return text + generator(yields, opening)


def _deserialized(program: Program) -> str:
    rows = ", ".join(
        f"{one.name!r}: {{'dtype': {one.dtype!r}, 'shape': {list(one.shape)!r}, 'data': CONTENT[{one.name!r}]}}"
        for one in program.tensors
    )
    return f"lambda: {{{rows}}}"


def _expected(program: Program, call: Call) -> str:
    if call.kind == "get_tensors":
        parts = [_array(program, one, "") for one in program.tensors]
        if None in parts:
            return "None" if any(_unknown(program, one) for one in program.tensors) else "refused"
        rows = ", ".join(f"{one.name!r}: {part}" for one, part in zip(program.tensors, parts, strict=True))
        return f"lambda: {{{rows}}}"
    held = program.tensors[call.tensor]
    if call.kind == "about":
        return f"lambda: ({held.dtype!r}, {list(held.shape)!r})"
    made = _array(program, held, call.source)
    return f"lambda: {made}" if made is not None else "None" if _unknown(program, held) else "refused"


def _unknown(program: Program, held: Held) -> bool:
    return held.dtype not in NUMPY_NAMES and not (program.lend and held.dtype in LENT)


def _array(program: Program, held: Held, source: str) -> str | None:
    """Source of the array that a part should be; None where numpy has no dtype for it, or there is no such part."""
    part = cut(held, source)
    if part is None or _unknown(program, held):
        return None
    shape = stored_shape(held.dtype, part[0])
    if shape is None:
        return None
    return f"part({NUMPY_NAMES.get(held.dtype, 'uint8')!r}, {list(shape)!r}, {part[1]!r})"
