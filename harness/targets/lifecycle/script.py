"""Programs of target ``lifecycle`` as Python, for people and for reproducers; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import ast
import inspect
from functools import lru_cache

from harness.targets.lifecycle import kit as lifecycle_kit
from harness.targets.lifecycle.expectation import ANY, REFUSED, TYPE, Call, Program
from harness.targets.lifecycle.program import PATHS

_OPENING = f"""\
folder = tempfile.mkdtemp()
ODD = odd(folder)
{", ".join(f"p{number}" for number in range(PATHS))} = (os.path.join(folder, f"p{{n}}.safetensors") for n in range({PATHS}))
"""


def text(call: Call) -> str:
    """A call as a line of Python."""
    return f"{call.bind} = {call.source}" if call.bind else call.source


def lifecycle(program: Program) -> str:
    """A program in words: files, calls, and how each should end."""
    lines = [f"put(p{number}, FILES[{number}])" for number in range(PATHS - 1)]
    for call in program.calls:
        hazard = f"; may end with {call.hazard}" if call.hazard else ""
        lines.append(f"{text(call):70}  # {_should(call)}{hazard}")
    return "\n".join(lines) + "\n"


def _should(call: Call) -> str:
    if call.end == REFUSED:
        return "SafetensorError"
    if call.end == ANY:
        return f"{call.wanted} or SafetensorError" if call.wanted else "anything, or SafetensorError"
    if call.end == TYPE:
        return "a value, TypeError or AttributeError"
    return (call.wanted or "any value") if call.end == "value" else call.end


def lifecycle_calls(program: Program) -> str:
    """``calls()`` of a program of target ``lifecycle``: each call, and a function that gives or raises what it should."""
    lines = [_kit(), "", _OPENING, _KEEP, "", "def calls():"]
    lines += [f"    put(p{number}, FILES[{number}])" for number in range(PATHS - 1)]
    for call in program.calls:
        made = f"keep({call.bind!r}, {call.source})" if call.bind else call.source
        lines.append(f"    yield {text(call)!r}, lambda: {made}, {_expected(call)}")
    return "\n".join(lines)


def _expected(call: Call) -> str:
    """Source of a function that gives the value, or raises the error, that is right; ``None`` where several are."""
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
    """The source of the kit, without its annotations."""
    tree = ast.parse(inspect.getsource(lifecycle_kit))
    body = [node for node in tree.body if not (isinstance(node, ast.ImportFrom) and node.module != "json")]
    tree.body = body[1:]  # without the docstring
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
    plain = _Plain().visit(tree)
    imports = "import pathlib\nimport weakref\n\nimport safetensors.numpy\n"
    return imports + ast.unparse(ast.fix_missing_locations(plain)).replace("\ndef ", "\n\ndef ")


class _Plain(ast.NodeTransformer):
    """Turns annotated assignments into plain ones."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.Pass()
        return ast.Assign(targets=[node.target], value=node.value, lineno=node.lineno, col_offset=0)
