"""Programs of target ``lifecycle`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect
from functools import lru_cache

from harness.programs import scripts
from harness.targets.lifecycle import kit
from harness.targets.lifecycle.expectation import ANY, REFUSED, TYPE, Call
from harness.targets.lifecycle.program import PATHS, Program

_OPENING = f"""\
folder = tempfile.mkdtemp()
ODD = odd(folder)
{", ".join(f"p{number}" for number in range(PATHS))} = (os.path.join(folder, f"p{{n}}.safetensors") for n in range({PATHS}))
"""
_PUT = [f"put(p{number}, FILES[{number}])" for number in range(PATHS - 1)]


def _text(call: Call) -> str:
    """A call as a line of Python."""
    return f"{call.bind} = {call.source}" if call.bind else call.source


def explain(program: Program) -> str:
    """A program in words: files, calls, and how each should end."""
    lines = list(_PUT)
    for call in program.calls:
        hazard = f"; may end with {call.hazard}" if call.hazard else ""
        lines.append(f"{_text(call):70}  # {_should(call)}{hazard}")
    return "\n".join(lines) + "\n"


def _should(call: Call) -> str:
    if call.end == REFUSED:
        return "SafetensorError"
    if call.end == ANY:
        return f"{call.wanted} or SafetensorError" if call.wanted else "anything, or SafetensorError"
    if call.end == TYPE:
        return "a value, TypeError or AttributeError"
    return (call.wanted or "any value") if call.end == "value" else call.end


def calls(program: Program) -> str:
    """``calls()`` of a program: each call, and a function that gives or raises what it should."""
    yields = []
    for call in program.calls:
        source = f"keep({call.bind!r}, {call.source})" if call.bind else call.source
        yields.append((_text(call), source, _expected(call)))
    return "\n".join([_kit(), _OPENING, _KEEP, "", scripts.generator(yields, _PUT)])


def _expected(call: Call) -> str:
    """Source of a function that gives the right value or raises the right error; ``None`` where several are right."""
    if call.end in (ANY, TYPE):
        return "None"
    if call.end == REFUSED:
        return "lambda: fail(safetensors.SafetensorError)"
    if call.end != "value":
        return f"lambda: fail({call.end})"
    return f"lambda: {call.wanted}" if call.wanted else "lambda: ANYTHING"


_KEEP = '''
from safetensors._safetensors_rust import _safe_open_handle

ANYTHING = object()


def keep(name, value):
    """Let a name stand for a value."""
    globals()[name] = value
    return value


def drop(name):
    """Forget a name."""
    del globals()[name]


def fail(kind):
    """Raise an error of this kind."""
    raise kind("as it should")
'''


@lru_cache(1)
def _kit() -> str:
    """The source of the kit."""
    imports = "import pathlib\nimport weakref\n\nimport safetensors.numpy\n"
    return imports + scripts.plain(inspect.getsource(kit)).partition('"""\n')[2]
