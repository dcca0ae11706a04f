"""Programs of target ``lifetimes`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect
import re

from harness.findings.crashes import Crash
from harness.programs import scripts
from harness.programs.scripts import Script
from harness.targets.lifetimes import faults, kit, writing
from harness.targets.lifetimes.program import Call, Program

_KIT = "\n".join(inspect.getsource(one) for one in (faults, kit, writing))


def _line(call: Call) -> str:
    source = re.sub(r"\bdrop\('(\w+)'\)", r"globals().pop('\1')", call.source)
    return f"{call.bind} = {source}" if call.bind else source


def explain(program: Program) -> str:
    """A program in words: its calls, and what their values may be."""
    lines = ["put('p0', 0); put('p1', 1)"]
    for call in program:
        end = call.allowed or ""
        end += " or a refusal" if call.allowed and not call.must else ""
        lines.append(f"{_line(call)}  # {end}" if end else _line(call))
    return "\n".join(lines) + "\n"


def script(program: Program) -> Script:
    """The kit, and the calls."""
    text = "\n".join([*(_line(call) for call in program), *(call.allowed for call in program)])
    used = text + "\nput('p0', 0); strange, plain, versions, whole, part"
    setup = scripts.needed(_KIT, used) + "\n\n\nput('p0', 0)\nput('p1', 1)\n"
    return Script(setup, tuple(scripts.Call(call.kind, _line(call)) for call in program))


def reproducer(crash: Crash, program: Program) -> str:
    """The code for the first call that gives values which it may not give, or for the death of the process."""
    made = script(program)
    if crash.rule.check == "death":
        body = scripts.block("def run():", *(call.line for call in made.calls))
        return f"{made.setup}\n\n\n{body}\n\n\nassert ended(run) != {crash.aspect.partition('/')[0]!r}"
    if crash.rule.check != "values":
        return ""
    for at, call in enumerate(program):
        if crash.aspect.startswith(f"{call.kind}:") and call.allowed:
            before = [one.line for one in made.calls[:at]]
            value = call.source if call.kind in crash.aspect and "written(" in call.source else f"plain({call.source})"
            more = f", missing={call.missing}, mixed={call.mixed}"
            return "\n".join([made.setup, *before, f"assert not strange({value}, {call.allowed}{more})"])
    return ""
