"""Programs of target ``parallel`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

from harness.programs import scripts
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
    """Source of each read of a call, and of a function that gives the expected value. The parser may refuse reads outside."""
    count = len(program.backends)
    if call.kind == "stages":
        return [_stage(program, call, number) for number in range(len(call.stages))]
    name = repr(program.tensors[call.tensor][0])
    if call.kind == "whole":
        return [(f"files[{handle}].get_tensor({name})", f"lambda: WHOLE[{name}]") for handle in range(count)]
    rows = []
    for one in call.parts:
        wanted = f"lambda: WHOLE[{name}][{one.source}]"
        source = f"files[{one.rank % count}].get_slice({name})[{one.source}]"
        rows.append((source, wanted if one.place in WITHIN else f"loose({wanted})"))
    return rows


def _stage(program: Program, call: Call, number: int) -> tuple[str, str]:
    """The layers of one stage, from its own handle."""
    file, places = f"files[{number % len(program.backends)}]", call.stages[number]
    by = call.form.partition("/")[0]
    listed = f"{file}.{by}()[{places[0]}:{places[-1] + 1}]" if places else "[]"
    names = [name for name, *_ in program.tensors]
    names = [(sorted(names) if by == "keys" else names)[place] for place in places]
    wanted = ", ".join(f"{name!r}: WHOLE[{name!r}]" for name in names)
    return f"{{name: {file}.get_tensor(name) for name in {listed}}}", f"lambda: {{{wanted}}}"


def calls(program: Program) -> str:
    """``calls()`` of a program."""
    yields = [read for call in program.calls for read in _reads(program, call)]
    opening = ("from safetensors import safe_open", *scripts.WRITE_FILE, _handles(program, "str(path)"))
    return (
        f"{scripts.file_and_arrays(program.tensors)}# numpy cuts off what lies outside a tensor; the parser may refuse it.\n"
        "loose = lambda wanted: setattr(wanted, 'may_be_refused', True) or wanted\n\n\n"
        f"{scripts.generator(yields, opening)}"
    )
