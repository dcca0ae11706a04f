"""Programs of target ``parallel`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import re

from harness.programs import arrays, scripts
from harness.programs.scripts import Script
from harness.targets.parallel.program import WITHIN, Call, Program


def explain(program: Program) -> str:
    """A program: its file in words, its handles, and the reads of the ranks."""
    lines = [*scripts.described(program.tensors), _handles(program, '"model.safetensors"')]
    for call in program.calls:
        rows = [source for source, _ in _reads(program, call)]
        if call.order:
            parts = "".join(f"    {rows[place]},\n" for place in call.order)
            lines.append(f"numpy.concatenate([  # {call.form}\n{parts}], axis={call.axis})")
        else:
            lines += [f"# {call.form}", *rows]
    return "\n".join(lines) + "\n"


def _handles(program: Program, path: str) -> str:
    opened = f'safe_open({path}, framework="numpy", backend=backend)'
    return f"files = [{opened} for backend in {program.backends!r}]"


def _reads(program: Program, call: Call) -> list[tuple[str, str]]:
    """Source of each read of a call, and of the right value. The parser may refuse reads outside."""
    count = len(program.backends)
    if call.kind == "stages":
        return [_stage(program, call, number) for number in range(len(call.stages))]
    name = repr(program.tensors[call.tensor][0])
    if call.kind == "whole":
        return [(f"files[{handle}].get_tensor({name})", _array(program, call.tensor)) for handle in range(count)]
    rows = []
    for one in call.parts:
        wanted = f"{_array(program, call.tensor)}[{one.source}]"
        source = f"files[{one.rank % count}].get_slice({name})[{one.source}]"
        rows.append((source, wanted if one.place in WITHIN else ""))
    return rows


def _stage(program: Program, call: Call, number: int) -> tuple[str, str]:
    """The layers of one stage, from its own handle."""
    file, places = f"files[{number % len(program.backends)}]", call.stages[number]
    by = call.form.partition("/")[0]
    listed = f"{file}.{by}()[{places[0]}:{places[-1] + 1}]" if places else "[]"
    names = [name for name, *_ in program.tensors]
    names = [(sorted(names) if by == "keys" else names)[place] for place in places]
    at = {one[0]: number for number, one in enumerate(program.tensors)}
    wanted = ", ".join(f"{name!r}: {_array(program, at[name])}" for name in names)
    return f"{{name: {file}.get_tensor(name) for name in {listed}}}", f"{{{wanted}}}"


def _array(program: Program, place: int) -> str:
    _, dtype, shape, salt = program.tensors[place]
    return scripts.array(dtype, shape, arrays.content(dtype, shape, salt))


def script(program: Program) -> Script:
    """The file, its handles, and the reads of the ranks."""
    setup = scripts.tensors_file(program.tensors) + "\n".join(
        f'file{number} = safe_open(path, framework="numpy"{scripts.backend(backend)})'
        for number, backend in enumerate(program.backends)
    )
    calls = [
        scripts.Call(call.kind, re.sub(r"files\[(\d+)\]", r"file\1", source), wanted)
        for call in program.calls
        for source, wanted in _reads(program, call)
    ]
    return Script(setup, tuple(calls))
