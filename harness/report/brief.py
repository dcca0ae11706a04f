"""A reproducer in few lines, for a text that people read: with the helpers that it uses, and without how it ends."""

from __future__ import annotations

import ast
import re
import textwrap

from harness.findings.crashes import KIT
from harness.programs import scripts

# The modules of helpers beside the reproducers.
_KIT = {name.removesuffix(".py") for name in KIT}
# Helpers that a text needs no more of: a traceback is as good as their messages.
_SHORT = """\
import json, pathlib, tempfile
def file(header, data=b""):
    return len(header).to_bytes(8, "little") + header + data
def stored(data, name="model.safetensors"):
    path = pathlib.Path(tempfile.mkdtemp(), name)
    path.write_bytes(data)
    return str(path)
def content(raw):
    end = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:end])
    metadata = header.pop("__metadata__", {})
    return {k: (v["dtype"], v["shape"], raw[end:][slice(*v["data_offsets"])]) for k, v in header.items()}, metadata
"""
#: Contexts of the helpers, each with a remark on its body in place of it.
_CONTEXTS = {"raises": "raises {}", "refused": "no error, where SafetensorError is due", "accepted": "is refused {}"}


def brief(script: str, kit: str) -> str:
    """The statements of ``script``, with the definitions of ``kit`` that it uses; no docstrings or empty lines.

    Raises SyntaxError where one of them is no Python.
    """
    own = [node for node in ast.parse(script).body if not _about_kit(node)]
    short = {} if re.search(r"\bstored\(.*\bsize=", script) else _definitions(_SHORT)
    known = _definitions(kit) | short
    names = set[str]().union(*map(scripts.names, own)) - {name for node in own for name in _contexts(node)}
    wanted = scripts.reached(known, names)
    names |= set[str]().union(*(scripts.words(known[name]) for name in wanted))
    imported = {one.name for node in own if isinstance(node, ast.Import) for one in node.names}
    imports = [f"import {name}" for name in sorted((_modules(kit) | _modules(_SHORT)) & names - imported)]
    body = [text for name in wanted for text in known[name].splitlines()]
    for node in own:
        text = _source(script, node)
        if not isinstance(node, ast.Import | ast.ImportFrom):
            body += text
        elif text != ["import sys"] or "sys" in names:
            imports += text
    return "\n".join(imports + body)


def _about_kit(node: ast.stmt) -> bool:
    """Whether a statement is a docstring, or finds or imports the helpers."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    names = [one.name for one in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "")]
    return bool(_KIT & {*names}) or ast.unparse(node).startswith("sys.path[0] +=")


def _modules(source: str) -> set[str]:
    return {one.name for node in ast.parse(source).body if isinstance(node, ast.Import) for one in node.names}


def _definitions(source: str) -> dict[str, str]:
    """The definitions at the top of a module, by name, without docstrings, annotations and empty lines."""
    return {name: _short(text) for name, text in scripts.definitions(source).items()}


def _short(definition: str) -> str:
    text = ast.unparse(_plain(ast.parse(definition).body[0]))
    return "\n".join(line for line in text.splitlines() if line.strip())


def _plain(node: ast.stmt) -> ast.stmt:
    for one in ast.walk(node):
        if isinstance(one, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(one) is not None:
            one.body = one.body[1:] or [ast.Pass()]
        if isinstance(one, ast.FunctionDef):
            one.returns = None
        elif isinstance(one, ast.arg):
            one.annotation = None
    return node


def _contexts(node: ast.stmt) -> list[str]:
    """The helper whose context a statement is, if it is one alone."""
    if not isinstance(node, ast.With) or len(node.items) > 1 or node.items[0].optional_vars is not None:
        return []
    call = node.items[0].context_expr
    name = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else ""
    return [name] if name in _CONTEXTS else []


def _source(script: str, node: ast.stmt) -> list[str]:
    """The lines of a statement; of the context of a helper its body, after a remark."""
    first, head = node.lineno, list[str]()
    for name in _contexts(node):
        assert isinstance(node, ast.With)
        call = node.items[0].context_expr
        assert isinstance(call, ast.Call)
        words = ": ".join(str(one.value) for one in call.args if isinstance(one, ast.Constant) and one.value)
        first, head = node.body[0].lineno, ["# " + " ".join(_CONTEXTS[name].format(words).split())]
    lines = textwrap.dedent("\n".join(script.splitlines()[first - 1 : node.end_lineno])).splitlines()
    return head + [line for line in lines if line.strip()]
