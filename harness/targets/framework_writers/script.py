"""Programs of the frameworks' writers as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

from harness.findings.crashes import Crash
from harness.programs import scripts
from harness.programs.frameworks import Framework
from harness.programs.scripts import Script
from harness.targets.framework_writers.kits import KITS
from harness.targets.framework_writers.program import WRITES, Call, Program


def values(program: Program) -> str:
    """Source that makes the values, each under a name of its own, and the dictionary TENSORS of them."""
    lines = []
    for place, item in enumerate(program.items):
        lines += [f"m{place} = {item.memory}"] if item.memory else []
        lines.append(f"t{place} = {item.source}")
    pairs = ", ".join(f"{item.name}: t{place}" for place, item in enumerate(program.items))
    return "\n".join([*lines, f"TENSORS = {{{pairs}}}"]) + "\n"


def explain(like: Framework, program: Program) -> str:
    """A program: the values, and the calls."""
    return values(program) + "".join(f"{_source(like, program, call)}\n" for call in program.calls)


def _source(like: Framework, program: Program, call: Call) -> str:
    metadata = "" if program.metadata.value is None else f", {program.metadata.source}"
    return {
        "save": f"{like.module}.save(TENSORS{metadata})",
        "save_file": f"{like.module}.save_file(TENSORS, path{metadata})",
        "load": f"{like.module}.load(FILE)",
        "load_file": f"{like.module}.load_file(path{scripts.backend(call.backend)})",
    }[call.kind]


def _setup(like: Framework, program: Program) -> str:
    text = values(program)
    kit = KITS[like.module.rpartition(".")[2]]
    imports = "\n".join(["import re", *(f"import {name}" for name in like.imports if "." not in name), "import numpy"])
    return f"{imports}\n\n\n{scripts.needed(kit, text, ('reported',))}\n\n\n{text}path = stored(b'')\n"


def script(like: Framework, program: Program) -> Script:
    """The values to write, and the calls."""
    calls: list[scripts.Call] = []
    for call in program.calls:
        name = {"save_file": "save", "load_file": "mmap.get_tensor" if call.backend == "mmap" else "load_file.pread"}
        binds = "FILE" if call.kind == "save" else ""
        calls.append(scripts.Call(name.get(call.kind, call.kind), _source(like, program, call), "", binds))
        if call.kind == "save":
            calls.append(scripts.Call("", "pathlib.Path(path).write_bytes(FILE)"))
        elif call.kind == "save_file":
            calls.append(scripts.Call("", "pathlib.Path(path).read_bytes()", binds="FILE"))
    return Script(_setup(like, program), tuple(calls))


def reproducer(like: Framework, crash: Crash, program: Program) -> str:
    """The code for a finding about a file or an argument, else ""."""
    if crash.oracle != "framework_roundtrip" or not program.calls:
        return ""
    call = next((call for call in program.calls if call.kind in WRITES), Call("save"))
    setup, source = _setup(like, program), _source(like, program, call)
    rule = crash.rule.name
    if rule == "resaved.argument":
        return (
            f"{setup}given = dict(TENSORS)\n{source}\nassert all(TENSORS[name] is one for name, one in given.items())"
        )
    if rule == "framework.refused":
        return setup + scripts.block('with accepted("", "ValueError", "TypeError"):', source)
    if "accepted/" in crash.aspect:
        return setup + scripts.block('with refused("ValueError", "TypeError", "AttributeError"):', source)
    if not crash.aspect.endswith(tuple(f"/{item.word}" for item in program.items)) and "bytes/" not in crash.aspect:
        return ""
    file = f"FILE = {source}\n" if call.kind == "save" else f"{source}\nFILE = pathlib.Path(path).read_bytes()\n"
    return (
        f"{setup}{file}for name, value in TENSORS.items():\n    tensor = reported(value)\n"
        f"    assert content(FILE)[0][name][1:] == (list(tensor.shape), {like.raw} if 0 not in tensor.shape else b'')"
    )
