"""Programs of target ``promises`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect

from harness.programs import arrays, scripts
from harness.programs.scripts import Script
from harness.targets.promises import kit
from harness.targets.promises.program import ROWS, Program

#: The file of the questions about objects.
SHAPES: dict[str, tuple[int, ...]] = {
    name: () if rows is None else (rows, 2) if rows % 2 else (rows,) for name, rows in ROWS.items()
}
FILE = arrays.file(tuple((name, "F32", shape, 0) for name, shape in SHAPES.items()), (("format", "pt"),))


def explain(program: Program) -> str:
    """The tensors, the metadata, and each question with its right answers."""
    lines = [f"TENSORS = {program.tensors!r}", f"METADATA = {program.metadata!r}"]
    lines += [f"{call.source}  # {' or '.join(call.right)}" for call in program.calls]
    return "\n".join(lines) + "\n"


def script(program: Program) -> Script:
    """The questions, each with its right answer."""
    calls = []
    for call in program.calls:
        one = len(call.right) == 1
        source = call.source if one else f"{call.source} in ({', '.join(call.right)})"
        calls.append(scripts.Call(call.kind, source, call.right[0] if one else "True"))
    text = "\n".join(call.source for call in calls)
    setup = [scripts.needed(inspect.getsource(kit), text) + "\n\n"]
    words = scripts.words(text) if text else set()
    if "TENSORS" in words:
        setup.append(f"TENSORS = {scripts.literal(program.tensors)}\nMETADATA = {program.metadata!r}")
    if words & {"FILE", "path"}:
        setup.append(f"FILE = {scripts.raw_file(FILE)}")
    if "path" in words:
        setup.append("path = stored(FILE)")
    return Script("\n".join(setup), tuple(calls))
