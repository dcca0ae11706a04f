"""Programs of target ``parallel`` as the Python they stand for; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

from harness.programs.scripts import generator, literal, whole
from harness.targets.parallel.program import WITHIN, Call, Part, Program


def explain(program: Program) -> str:
    """A program: its file in words, its handles, and what the ranks do."""
    lines = [f"# {name!r}: {dtype} {list(shape)}" for name, dtype, shape, _ in program.tensors]
    lines += [_handles(program, '"model.safetensors"'), *(_words(program, call) for call in program.calls)]
    return "\n".join(lines) + "\n"


def _handles(program: Program, path: str) -> str:
    opened = f'safe_open({path}, framework="numpy", backend=backend)'
    return f"files = [{opened} for backend in {program.backends!r}]"


def part(program: Program, call: Call, one: Part) -> str:
    """What a rank takes, from its own handle."""
    handle = one.rank % len(program.backends)
    return f"files[{handle}].get_slice({program.tensors[call.tensor][0]!r})[{one.source}]"


def whole_of(program: Program, handle: int, tensor: int) -> str:
    """The whole tensor, from one handle."""
    return f"files[{handle}].get_tensor({program.tensors[tensor][0]!r})"


def stage(program: Program, call: Call, number: int) -> str:
    """The layers of one stage, from its own handle."""
    handle, places = number % len(program.backends), call.stages[number]
    names = f"files[{handle}].{call.form.partition('/')[0]}()[{places[0]}:{places[-1] + 1}]" if places else "[]"
    return f"{{name: files[{handle}].get_tensor(name) for name in {names}}}"


def _words(program: Program, call: Call) -> str:
    if call.kind == "stages":
        rows = [stage(program, call, number) for number in range(len(call.stages))]
    elif call.kind == "whole":
        rows = [whole_of(program, handle, call.tensor) for handle in range(len(program.backends))]
    else:
        rows = [part(program, call, one) for one in call.parts]
        if call.order:
            rows = [rows[place] for place in call.order]
            joined = "".join(f"    {row},\n" for row in rows)
            return f"numpy.concatenate([  # {call.form}\n{joined}], axis={call.axis})"
    return "\n".join((f"# {call.form}", *rows))


def calls(program: Program) -> str:
    """``calls()`` of a program; what lies outside its tensor may be refused, so nothing is expected of it."""
    yields: list[tuple[str, str]] = []
    for call in program.calls:
        if call.kind == "stages":
            for number, places in enumerate(call.stages):
                names = _ordered(program, call)
                wanted = ", ".join(f"{names[place]!r}: WHOLE[{names[place]!r}]" for place in places)
                yields.append((stage(program, call, number), f"lambda: {{{wanted}}}"))
            continue
        name = program.tensors[call.tensor][0]
        if call.kind == "whole":
            handles = range(len(program.backends))
            yields += [(whole_of(program, handle, call.tensor), f"lambda: WHOLE[{name!r}]") for handle in handles]
            continue
        for one in call.parts:
            expected = f"lambda: WHOLE[{name!r}][{one.source}]"
            yields.append((part(program, call, one), expected if one.place in WITHIN else f"loose({expected})"))
    loose = "loose = lambda wanted: setattr(wanted, 'may_be_refused', True) or wanted\n"
    return (
        f"FILE = {literal(program.tensors)}\n\n# What the file holds, as numpy reads it.\n"
        f"WHOLE = {whole(program.tensors)}\n\n# What lies outside a tensor is cut off by numpy, and may be refused.\n{loose}\n\n"
    ) + generator(
        yields,
        [
            "from safetensors import safe_open",
            'path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"',
            "path.write_bytes(FILE)",
            _handles(program, "str(path)"),
        ],
    )


def _ordered(program: Program, call: Call) -> list[str]:
    """Names by place: sorted as ``keys`` gives them, or as they lie in the file."""
    names = [name for name, *_ in program.tensors]
    return sorted(names) if call.form.startswith("keys") else names
