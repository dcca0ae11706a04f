"""Programs of target ``device`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect

from harness.findings.crashes import Crash
from harness.programs import arrays, scripts
from harness.programs.scripts import Index, Script
from harness.targets.device import redirect
from harness.targets.device.program import FILE, Call, Program, Word


def _call(call: Call, opening: str) -> str:
    source = f"({call.given.source})" if ", " in call.given.source else call.given.source
    more = f'device={source}, backend="{call.backend}"'
    framework = call.word if call.kind == "framework" else call.framework
    made = f"load_file(path, {more})" if call.kind == "load_file" else f"{opening}(path, {framework!r}, {more})"
    if call.kind == "part":
        made += f'.get_slice("a")[{call.subscript}]'
    elif call.kind != "load_file" and (call.redirected or call.file != FILE):
        made += '.get_tensor("a")'
    return f"redirected(lambda: {made})" if call.redirected else made


def explain(program: Program) -> str:
    """The calls of a program."""
    lines, file = [], None
    for call in program:
        if call.file != file:
            file = call.file
            lines += ['path = "model.safetensors"', *scripts.described(file)]
        lines.append(_call(call, "safe_open"))
    return "\n".join(lines) + "\n"


def script(program: Program) -> Script:
    """The file of the last call, and the calls that read it."""
    file = program[-1].file if program else FILE
    calls = []
    for call in (call for call in program if call.file == file):
        fits = call.given.place == "cpu" or (call.given.place and call.framework == "pt")
        fits = fits and bool(call.framework)
        source = (
            _call(call, "safe_open")
            .replace("load_file(", "safetensors.torch.load_file(")
            .replace(', backend="mmap"', "")
        )
        calls.append(scripts.Call(call.function, source, "" if fits else scripts.REFUSED))
    text = "\n".join(call.source for call in calls)
    parts = [scripts.plain(inspect.getsource(one)) + "\n\n" for one in (Word, Index) if f"{one.__name__}(" in text]
    # safe_open imports torch with the first tensor alone.
    head = ["import torch  # noqa: F401\n"] if any(call.framework == "pt" for call in program) else []
    if "redirected(" in text:
        parts += [scripts.plain(inspect.getsource(redirect)) + "\n\n"]
    return Script("\n".join([*head, *parts, f"path = stored({scripts.raw_file(arrays.file(file))})"]), tuple(calls))


def reproducer(crash: Crash, program: Program) -> str:
    """A word that is taken for a device must be one, and a word for one must be taken."""
    made = script(program)
    if not made.calls or crash.rule.check not in ("taken", "refused"):
        return ""
    if crash.rule.check == "refused":
        return f"{made.setup}\n{scripts.block('with accepted():', made.calls[-1].source)}"
    return f"{made.setup}\nassert not taken(lambda: {made.calls[-1].source})"
