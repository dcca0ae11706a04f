"""Programs of target ``quantized`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

from harness.programs import scripts
from harness.programs.arrays import NUMPY_NAMES
from harness.programs.scripts import Script
from harness.targets.quantized.program import LENT, Call, Held, Program, cut, file, stored_shape


def explain(program: Program) -> str:
    """A program: its file in words, how it is opened, and its calls."""
    lines = [f"# {one.name!r}: {one.dtype} {list(one.shape)}, {one.size} bytes" for one in program.tensors]
    lines += [f"# {how}" for how in program.awry]
    if not program.valid:
        lines.append("# Dtype, shape and bytes of a tensor disagree: the library should refuse the file.")
    if program.lend:
        lines.append(f"for name in {tuple(LENT.values())!r}:\n    setattr(numpy, name, numpy.dtype('uint8'))")
    lines.append(f'file = safe_open("model.safetensors", framework="numpy", backend="{program.backend}")')
    lines += [_call(program, call) for call in program.calls]
    return "\n".join(lines) + "\n"


def explain_torch(program: Program) -> str:
    """The same program for torch, which lacks none of the dtypes that numpy is lent."""
    return explain(program._replace(lend=False)).replace('framework="numpy"', 'framework="pt"')


def _call(program: Program, call: Call, opened: str = "file", core: str = "") -> str:
    name = repr(program.tensors[call.tensor].name)
    return {
        "deserialize": f"dict({core}deserialize(FILE))",
        "get_tensors": f"{opened}.get_tensors()",
        "get_tensor": f"{opened}.get_tensor({name})",
        "about": f"({opened}.get_slice({name}).get_dtype(), {opened}.get_slice({name}).get_shape())",
        "part": f"{opened}.get_slice({name})[{call.source}]",
    }[call.kind]


def script(program: Program) -> Script:
    """The file, and the calls. Of dtypes that numpy lacks it expects the bytes, in their stand-in dtype."""
    opened = f'safe_open(path, framework="numpy"{scripts.backend(program.backend)})'
    setup = [f"FILE = {scripts.raw_file(file(program.tensors))}", "path = stored(FILE)"]
    lent = [LENT[one.dtype] for one in program.tensors if one.dtype in LENT]
    if program.lend and lent:
        setup.append("# numpy lacks these dtypes: bytes stand in for them, to show what the parser cuts out.")
        setup += [f'numpy.{name} = numpy.dtype("uint8")' for name in dict.fromkeys(lent)]
    if program.valid:
        setup.append(f"opened = {opened}")
    made = [scripts.Call("open", opened, scripts.REFUSED)] if not program.valid else []
    asked = [call for call in program.calls if program.valid or call.kind == "deserialize"]
    made += [
        scripts.Call(
            {"part": "get_slice"}.get(call.kind, call.kind),
            _call(program, call, "opened", "safetensors."),
            _expected(program, call),
        )
        for call in asked
    ]
    return Script("\n".join(setup), tuple(made))


def _expected(program: Program, call: Call) -> str:
    """Source of the right value; "" where the outcome is not known."""
    if not program.valid:
        return scripts.REFUSED
    if call.kind == "deserialize":
        read = {
            one.name: {"dtype": one.dtype, "shape": list(one.shape), "data": one.content} for one in program.tensors
        }
        return f"{read!r}"
    held = program.tensors[call.tensor]
    if call.kind == "about":
        return f"lambda: ({held.dtype!r}, {list(held.shape)!r})"
    read_from = program.tensors if call.kind == "get_tensors" else (held,)
    if any(one.dtype not in NUMPY_NAMES and not (program.lend and one.dtype in LENT) for one in read_from):
        return ""
    parts = [_array(one, call.source) for one in read_from]
    if None in parts:
        return scripts.REFUSED
    if call.kind != "get_tensors":
        return f"{parts[0]}"
    return f"{{{', '.join(f'{one.name!r}: {part}' for one, part in zip(read_from, parts, strict=True))}}}"


def _array(held: Held, source: str) -> str | None:
    """Source of the array of a part; None where there is no such part."""
    part = cut(held, source)
    shape = None if part is None else stored_shape(held.dtype, part[0])
    return None if part is None or shape is None else scripts.array(held.dtype, shape, part[1])
