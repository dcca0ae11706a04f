"""Reproducers: inputs as straight Python, with the helpers in ``crashes/``.

A target writes its input as a :class:`Script`: the values, and the calls in order. The check of a rule makes an assertion of
it (:mod:`harness.triage.reproducer`).
"""

from __future__ import annotations

import ast
import functools
import itertools
import pprint
import re
import symtable
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.findings.crashes import KIT, kit
from harness.programs import arrays
from harness.programs.arrays import Tensors

#: Lines of a script that are no longer than this stay whole.
WIDTH = 110
#: Characters of the source of a file that stands in a script; a longer one is read beside it.
LONGEST = 1200
#: :attr:`Call.wanted` of a call that must be refused.
REFUSED = "refused"
#: Parts of what ``deserialize`` gives for a tensor ``t``, and of an array of numpy.
DESCRIBED = {"dtype": 't["dtype"]', "shape": 'list(t["shape"])', "bytes": 'bytes(t["data"])'}
ARRAY = {"dtype": "dtype_of(t)", "shape": "list(t.shape)", "bytes": "t.tobytes()"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its ``name`` in aspects, its ``source``, and the source of the right value.

    ``wanted`` is "" where nothing is promised, and :data:`REFUSED` where the call must fail. ``binds`` is the variable for its value.
    ``tensors`` is an expression for the tensors by name, where the call does not give those.
    """

    name: str
    source: str
    wanted: str = ""
    binds: str = ""
    tensors: str = ""

    @property
    def line(self) -> str:
        """The call as a statement."""
        return f"{self.binds} = {self.source}" if self.binds else self.source


@dataclass(frozen=True, slots=True)
class Script:
    """An input as Python: the lines before the calls, and the calls.

    A call of a target of files gives the tensors by name; ``parts`` are expressions for the dtype, the shape and the bytes of one tensor ``t``.
    ``opened`` is an expression for an open file, with its metadata and names.
    """

    setup: str
    calls: tuple[Call, ...]
    parts: Mapping[str, str] = field(default_factory=dict)
    opened: str = ""

    @property
    def text(self) -> str:
        """All of it, as Python."""
        return "\n".join([self.setup, *(call.line for call in self.calls)]) + "\n"

    def named(self, name: str) -> Call | None:
        """The last call of that name."""
        return next((call for call in reversed(self.calls) if call.name == name), None)


def block(opening: str, *lines: str) -> str:
    """A ``with`` or ``def`` of these lines."""
    return "\n".join([opening, *("    " + line for text in lines for line in text.splitlines())])


def literal(value: object) -> str:
    """Source of a plain value, in lines where it is long."""
    if isinstance(value, bytes) and len(repr(value)) > WIDTH:
        width = 100 if value.isascii() and value.decode().isprintable() else 64
        rows = [value[at : at + width] for at in range(0, len(value), width)]
        return "(\n" + "".join(f"    {row!r}\n" for row in rows) + ")"
    return pprint.pformat(value, width=WIDTH, compact=True, sort_dicts=False)


def raw_file(raw: bytes) -> str:
    """Source of the bytes of a file: by header and data where the length says so."""
    size = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or size > len(raw) - 8:
        return literal(raw)
    header, data = raw[8 : 8 + size], raw[8 + size :]
    tail = f", bytes({len(data)})" if len(data) > 8 and not any(data) else f", {literal(data)}" if data else ""
    return f"file({literal(header)}{tail})"


def read_file(raw: bytes) -> list[str]:
    """The line that makes FILE: the bytes where they are few, else those of the input beside the script."""
    source = raw_file(raw)
    return [f"FILE = {source}" if len(source) <= LONGEST else INPUT_LINE]


def one_by_one(name: str, opened: str, call: str, raw: bytes) -> Call:
    """The reading of the tensors of a file, each by a ``call`` with its name at ``{}``."""
    # Imported here: the worker imports the judge anew, and instruments it.
    from harness.format.judge import judge

    header = judge(raw).header
    if header is not None and len(header.tensors) == 1:
        key = repr(header.tensors[0].name)
        source = f"{opened}{call.format(key)}"
        return Call(name, source, tensors=f"{{{key}: {source}}}")
    return Call(name, f"{{name: opened{call.format('name')} for opened in [{opened}] for name in opened.keys()}}")


def tensors_file(tensors: Tensors) -> str:
    """Source of FILE, and of a ``path`` where it is stored."""
    return f"FILE = {raw_file(arrays.file(tensors))}\npath = stored(FILE)\n"


def array(dtype: str, shape: Iterable[int], data: bytes) -> str:
    """Source of an array; of bytes for a dtype that numpy lacks."""
    kind = arrays.NUMPY_NAMES.get(dtype, "uint8")
    shape = list(shape)
    held = f"bytes({len(data)})" if len(data) > 8 and not any(data) else literal(data)
    flat = f"numpy.frombuffer({held}, {kind!r})"
    return flat if len(shape) == 1 and (not data or shape[0]) else f"{flat}.reshape({shape})"


def described(tensors: Tensors) -> list[str]:
    """A comment for each tensor of a file."""
    return [f"# {name!r}: {dtype} {list(shape)}" for name, dtype, shape, _ in tensors]


def braced(lines: list[str]) -> str:
    """Source of a dict of these lines, each with its line break."""
    if len(lines) == 1 and "\n" not in lines[0][:-1] and len(lines[0]) < WIDTH - 12:
        return "{" + lines[0].strip().rstrip(",") + "}"
    return "{\n" + "".join(lines) + "}" if lines else "{}"


def backend(word: str) -> str:
    """The argument for a backend that is not the default. A script for releases without backends drops it."""
    return "" if word == "mmap" else f', backend="{word}"'


def for_old(source: str) -> str:
    """The source for releases that know mmap alone."""
    return source.replace(backend("pread"), "")


# Functions that scripts carry.


def names(node: ast.AST) -> set[str]:
    """The names that a piece of a syntax tree uses."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def words(text: str) -> set[str]:
    """The names that a piece of Python uses."""
    return names(ast.parse(text))


def reached(known: Mapping[str, str], start: Iterable[str]) -> list[str]:
    """The definitions of ``known`` that these names use, and those that they use, in their order."""
    wanted: set[str] = set()
    todo = {*start} & known.keys()
    while todo:
        wanted |= todo
        todo = {word for name in todo for word in words(known[name])} & known.keys() - wanted
    return [name for name in known if name in wanted]


@functools.cache
def definitions(source: str) -> dict[str, str]:
    """The top-level statements of a module by the name that each defines, each as its source."""
    found = {}
    for node in ast.parse(source).body:
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        text = "\n".join(source.splitlines()[first - 1 : node.end_lineno])
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = text
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            found |= {name.id: text for name in names if isinstance(name, ast.Name)}
    return found


def needed(source: str, text: str, always: Iterable[str] = ()) -> str:
    """The definitions of a module that a text uses, and those that they use, in their order; without annotations."""
    known = definitions(source)
    used = (known[name] for name in reached(known, words(text) | {*always}))
    # One statement may define several names.
    return "\n\n\n".join(map(plain, dict.fromkeys(used)))


def plain(source: str) -> str:
    """Source of functions and classes without annotations and remarks for linters."""
    cuts = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg) and node.annotation:
            cuts.append((node.lineno, node.col_offset + len(node.arg), node.annotation.end_col_offset))
        elif isinstance(node, ast.AnnAssign):
            cuts.append((node.lineno, node.target.end_col_offset or 0, node.annotation.end_col_offset))
        elif isinstance(node, ast.FunctionDef) and node.returns:
            cuts.append((node.returns.lineno, node.returns.col_offset - len(" -> "), node.returns.end_col_offset))
    lines = [line.encode() for line in source.splitlines()]
    for line, start, end in sorted(cuts, reverse=True):
        lines[line - 1] = lines[line - 1][:start] + lines[line - 1][end:]
    return re.sub(r" *# (?:noqa|type:|fmt:).*", "", b"\n".join(lines).decode()).strip("\n")


_MODULE = re.compile(
    r"\b(safetensors\.(?:numpy|torch|flax|tensorflow|paddle|mlx))\.(?!core)|(?<![\w.\"'])([a-z_]\w*)\.(?=\w)"
)
#: Modules beside the standard library that scripts name by their first word.
_MODULES = {
    **{name: name for name in ("safetensors", "numpy", "torch", "jax", "tensorflow", "paddle", "ml_dtypes")},
    "core": "mlx.core as core",
}


def imports(text: str) -> list[str]:
    """The import statements of a script: modules by the names that it uses, and the helpers of the kit."""
    tree = ast.parse(text)
    own = {
        node.asname or node.name.partition(".")[0]
        for one in ast.walk(tree)
        if isinstance(one, ast.Import | ast.ImportFrom)
        for node in one.names
    }
    defined, wanted = _names(text)
    used = words(text) - own - defined
    lines = [f"import {_MODULES[name]}" for name in used & _MODULES.keys()]
    lines = sorted([*lines, *(f"import {name}" for name in wanted & sys.stdlib_module_names)])
    dotted = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    frameworks = [f"safetensors.{name}" for name in ("numpy", "torch", "flax", "tensorflow", "paddle", "mlx")]
    lines += [f"import {name}" for name in frameworks if name in dotted]
    if "safetensors" in used and any(name in dotted for name in frameworks) and "import safetensors" in lines:
        plainly = any(
            isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "safetensors"
            and f"safetensors.{node.attr}" not in frameworks for node in ast.walk(tree)
        )  # fmt: skip
        if not plainly:
            lines.remove("import safetensors")
    if "safe_open" in used:
        lines.append("from safetensors import safe_open")
    for file, source in kit().items():
        helpers = sorted(used & {name for name in definitions(source) if not name.startswith("_")})
        lines += [f"from {file.removesuffix('.py')} import {', '.join(helpers)}"] if helpers else []
    return lines


def _names(text: str) -> tuple[set[str], set[str]]:
    """The names that a script defines at its top level, and those that it names and nothing in it defines."""
    module = symtable.symtable(text, "script", "exec")
    tables, wanted = [module], set()
    defined = {symbol.get_name() for symbol in module.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    for table in tables:
        tables += table.get_children()
        wanted |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (table is module or symbol.is_global())
        }
    return defined, wanted - defined


def whole(title: str, code: str) -> str:
    """A reproducer: the docstring, the imports, the code. Imports at the start of the code go to the others."""
    if "METADATA = None\n" in code:
        code = code.replace("METADATA = None\n", "").replace(", METADATA", "").replace("METADATA or {}", "{}")
    lines = code.strip("\n").split("\n")
    body = list(itertools.dropwhile(lambda line: not line or line.startswith(("import ", "from ")), lines))
    own = [line for line in lines[: len(lines) - len(body)] if line]
    found = imports(code)
    standard = [line for line in found if line.startswith("import ") and line.split()[1] in sys.stdlib_module_names]
    # The kit comes first: it turns the lack of a module into exit status 2.
    helpers = [line for line in found if about_kit(line)] or ["import _kit  # noqa: F401"]
    others = [line for line in found if line not in (*standard, *helpers)]
    head = [*sorted([*standard, "import sys"]), "", 'sys.path[0] += "/.."', *helpers, *own, *others, "", *body]
    return f'"""{title}\n\n{_RUN}\n"""\n\n' + "\n".join(head) + "\n"


_RUN = "Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)"


def single(text: str, raw: bytes) -> str:
    """A reproducer in one file: with the parts of the kit that it uses, and with the bytes of the input."""
    before, found, after = text.partition('sys.path[0] += "/.."\n')
    if not found:
        return text
    core = ("_ENDED", "Shows", "CannotTell", "_end", "_farewell")
    source = "\n".join(kit().values())
    parts = needed(source, text, core)
    hook = source[source.index("sys.excepthook = _end") :].partition("\n\n\n")[0]
    rest = "".join(line for line in after.splitlines(keepends=True) if not about_kit(line))
    used = (words(parts) | {"atexit", "sys"}) & _kit_imports()
    standard = [f"import {name}\n" for name in sorted(used) if f"import {name}\n" not in before]
    body = f"{before.rstrip()}\n{''.join(standard)}\n{parts}\n\n\n{hook}\n\n{rest}"
    return body.replace(INPUT_LINE, f"FILE = {literal(raw)}")


#: The line of a script that reads a long input beside it.
INPUT_LINE = 'FILE = pathlib.Path(__file__).with_name("input.safetensors").read_bytes()'


def about_kit(line: str) -> bool:
    """Whether a line imports helpers."""
    words = line.split()
    return words[:1] in (["from"], ["import"]) and f"{words[1]}.py" in KIT


@functools.cache
def _kit_imports() -> frozenset[str]:
    nodes = [node for source in kit().values() for node in ast.parse(source).body if isinstance(node, ast.Import)]
    return frozenset(name.name for node in nodes for name in node.names)


class Index:
    """An integer by __index__ alone."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        """The integer."""
        return self.value
