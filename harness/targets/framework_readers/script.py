"""Programs of reads as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.findings.crashes import Crash
from harness.programs import scripts
from harness.programs.arrays import BACKENDS, WRITER_DTYPES
from harness.programs.frameworks import Framework
from harness.programs.scripts import Index, Script
from harness.targets.framework_readers.program import READS, Call, Held, Program

#: Views of a tensor by their word: as a function, and as source.
VIEWS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "row": (lambda tensor: tensor[0], "{}[0]"),
    "tail": (lambda tensor: tensor[1:], "{}[1:]"),
    "flat": (lambda tensor: tensor.reshape([-1]), "{}.reshape([-1])"),
    "flipped": (lambda tensor: tensor.swapaxes(0, -1), "{}.swapaxes(0, -1)"),
}
_HELD = '''\
def held(tensor):
    """The word for the dtype, the shape and the bytes of a tensor."""
    word = getattr(tensor.dtype, "name", None) or str(tensor.dtype).rpartition(".")[2]
    return word.lower().rstrip("_"), list(tensor.shape), {raw} if 0 not in tensor.shape else b""


'''
_WRITE = '''\
def write(tensor, others):
    """Overwrite a tensor in place; true where the others stay as they are."""
    before = [held(one) for one in others]
    octets = numpy.frombuffer(bytes(byte ^ 1 for byte in held(tensor)[2]), "uint8").copy()
    {write}
    return before == [held(one) for one in others]


'''


def _source(like: Framework, program: Program, call: Call) -> str:
    """A read as an expression: a tensor, a dict or a list of them."""
    name = repr(program.tensors[call.tensor][0])
    return {
        "get_tensor": f"{call.backend}.get_tensor({name})",
        "get_tensors": f"{call.backend}.get_tensors()",
        "load": f"{like.module}.load(data=pathlib.Path(path).read_bytes())",
        "load_file": f"{like.module}.load_file(filename=path{scripts.backend(call.backend)})",
        "get_slice": f"{call.backend}.get_slice({name})[{''.join(call.sources[:1])}]",
        "split": "[" + ", ".join(f"{call.backend}.get_slice({name})[{source}]" for source in call.sources) + "]",
    }[call.kind]


def _uses(program: Program, call: Call) -> list[str]:
    """The lines of a call that reads nothing."""
    value = f"values[-1 - {call.value} % len(values)]"
    if call.kind == "view":
        return [f"{value} = {VIEWS[call.view][1].format(value)}"]
    if call.kind == "close":
        return ["handles.clear()", *(f"{backend} = None" for backend in BACKENDS)]
    if call.kind == "replace":
        return [f"os.replace(stored({scripts.raw_file(program.file(call.version))}), path)"]
    return [f"one = {value}", "assert write(one, [other for other in values if other is not one])"]


def _lines(like: Framework, program: Program, asserts: Callable[[Call], list[str]]) -> list[str]:
    """All calls; ``asserts`` gives the lines after a read."""
    lines: list[str] = []
    opened: set[str] = set()
    for call in program.calls:
        if call.kind not in READS:
            lines += _uses(program, call)
            opened = set() if call.kind == "close" else opened
            continue
        if not call.kind.startswith("load"):
            for backend in (call.backend, *(set(BACKENDS) - {call.backend} if call.twin else ())):
                if backend not in opened:
                    lines.append(f'{backend} = safe_open(path, "{like.word}"{scripts.backend(backend)})')
                    opened.add(backend)
        source = _source(like, program, call)
        if call.tensor < 0:
            names = [name for name, *_ in program.tensors]
            lines += [f"read = {source}", f"values += [read[name] for name in {names!r}]"]
        else:
            lines.append(f"values += {source if call.kind == 'split' else f'[{source}]'}")
        lines += asserts(call)
    return lines


def _setup(like: Framework, program: Program) -> str:
    text = f"{scripts.tensors_file(program.tensors)}values = []\n"
    used = "".join(source for call in program.calls for source in call.sources)
    index = scripts.plain(_index()) + "\n\n\n" if "Index(" in used else ""
    imports = "\n".join(f"import {name}  # noqa: F401" for name in like.imports[:1] if "." not in name)
    helpers = _HELD.replace("{raw}", like.raw)
    helpers += _WRITE.replace("{write}", like.write) if any(call.kind == "write" for call in program.calls) else ""
    return f"{imports}\n\n\n{index}{helpers}{text}"


def _index() -> str:
    import inspect

    return inspect.getsource(Index)


def explain(like: Framework, program: Program) -> str:
    """A program: its file in words, and its calls."""
    lines = [*scripts.described(program.tensors), "values = []"]
    for call in program.calls:
        if call.kind in READS:
            what = _source(like, program, call)
            also = f"  # and by {BACKENDS[call.backend == 'mmap']}" if call.twin else ""
            lines.append(f"values += {what}{also}")
        elif call.kind == "write":
            lines.append(f"write(values[-1 - {call.value} % len(values)])  # in place; no other value changes")
        elif call.kind == "replace":
            lines.append("os.replace(other_values, path)  # open handles keep the old content")
        else:
            lines += _uses(program, call)
    return "\n".join(lines) + "\n"


def script(like: Framework, program: Program) -> Script:
    """The file, and the calls on it."""
    lines = _lines(like, program, lambda call: [])
    names = {
        "get_slice": ".get_slice(", "load": ".load(", "load_file.pread": "pread", "mmap.get_tensor": "mmap",
    }  # fmt: skip
    calls = []
    for line in lines:
        name = next((name for name, part in names.items() if part in line and "safe_open" not in line), "")
        if "load_file(filename=path)" in line:
            name = "mmap.get_tensor"
        calls.append(scripts.Call(name, line.replace("assert write", "write")))
    return Script(_setup(like, program), tuple(calls))


def _literal(held: Held | None) -> str:
    assert held is not None
    dtype, shape, data = held
    kept = list(shape)
    if dtype == "F4" and kept:
        kept[-1] //= 2
    return f"({WRITER_DTYPES.get(dtype, dtype)!r}, {kept}, {scripts.literal(data)})"


def reproducer(like: Framework, crash: Crash, program: Program) -> str:
    """The code for a finding about values or backends, else ""."""
    if crash.oracle != "readers" or not program.calls:
        return ""
    rule = crash.rule.name
    if rule == "readers.backends":
        return _two(like, program)
    if rule == "refused":
        split = next(
            (call for call in program.calls if call.kind == "split" and call.backend == crash.aspect[:5].rstrip(":")),
            None,
        )
        if split is None:
            return ""
        opened = f'{split.backend} = safe_open(path, "{like.word}"{scripts.backend(split.backend)})\n'
        return _setup(like, program) + opened + scripts.block("with accepted():", _source(like, program, split))
    if crash.aspect.startswith("accepted"):
        return ""

    def asserts(call: Call) -> list[str]:
        wanted = program.wanted(call)
        if any(held is None for held in wanted) or rule == "readers.lost":
            return []
        right = f"[{', '.join(map(_literal, wanted))}]"
        return [f"assert [held(one) for one in values[-{len(wanted)} :]] == {right}"] if wanted else []

    lines = _lines(like, program, asserts)
    if rule == "readers.lost":
        lines = [
            text
            for line in lines
            for text in (
                ["before = [held(one) for one in values]", line, "assert before == [held(one) for one in values]"]
                if line.startswith(("handles", "os.replace"))
                else [line]
            )
        ]
    return _setup(like, program) + "\n".join(lines)


def _two(like: Framework, program: Program) -> str:
    """Each subscript by both backends."""
    lines = [f'{backend} = safe_open(path, "{like.word}"{scripts.backend(backend)})' for backend in BACKENDS]
    for call in program.calls:
        if call.twin:
            one, other = (_source(like, program, call._replace(backend=backend)) for backend in BACKENDS)
            lines.append(f"assert outcome(lambda: held({one})) == outcome(lambda: held({other}))")
            lines.append(f"assert held({one}) == held({other})")
    return _setup(like, program) + "\n".join(lines)
