"""Programs of target ``writers`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

import numpy

from harness.findings.crashes import Crash
from harness.programs import at_guard, guarded, scripts
from harness.programs.scripts import Script
from harness.targets.writers import array_layouts
from harness.targets.writers.program import TO_FILE, WRITES, Call, Program
from harness.targets.writers.specs import Spec

_PATHS = {
    "str": 'str(FOLDER / "new.safetensors")',
    "Path": 'FOLDER / "new.safetensors"',
    "existing": "existing(0o640)",
    "relative": 'os.path.relpath(FOLDER / "new.safetensors")',
    "unicode": 'str(FOLDER / "é\U0001f917.safetensors")',
    "undecodable": r'str(FOLDER / "\udcff.safetensors")',
    "symlink": "link()",
    "read-only": "existing(0o440)",
    "missing-folder": 'str(FOLDER / "missing" / "new.safetensors")',
    "directory": "str(FOLDER)",
    "bytes": 'os.fsencode(FOLDER / "new.safetensors")',
    "bytes-like": "BytesLike()",
    "empty": '""',
    "nul": r'str(FOLDER / "a\0.safetensors")',
    "int": "1 << 20",
    "None": "None",
    "too-long": 'str(FOLDER / ("x" * 300))',
    "surrogate": r'str(FOLDER / "\ud800.safetensors")',
}
_FUNCTIONS = [scripts.plain(inspect.getsource(one)) for word, one in array_layouts.NAMES.items() if word != "numpy"]
_HELPERS = """def existing(mode):
    path = FOLDER / "old.safetensors"
    path.write_bytes(b"something else")
    path.chmod(mode)
    return str(path)

def link():
    path = FOLDER / "link.safetensors"
    path.symlink_to(existing(0o640))
    return str(path)

class BytesLike:
    def __fspath__(self):
        return os.fsencode(FOLDER / "new.safetensors")

def usual():
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
"""
_SOURCE = "\n".join([*_FUNCTIONS, _HELPERS])
_GUARD = [scripts.plain(inspect.getsource(one)) for one in (at_guard.extent, at_guard.moved, at_guard.at_guard)]


def explain(program: Program) -> str:
    """A program: what it writes, and its calls."""
    lines = []
    if any(call.arrays for call in program.calls) or not program.calls:
        lines.append(f"tensors = {_arrays(program)}")
    if any(not call.arrays for call in program.calls):
        lines.append(f"specs = {_specs(program)}")
    lines.append(f"metadata = {program.things.metadata.source}")
    lines += [_said(call) for call in program.calls]
    return "\n".join(lines) + "\n"


def _said(call: Call) -> str:
    given = "tensors" if call.arrays else "specs"
    if call.kind in TO_FILE:
        return f"{call.kind}({given}, {_PATHS[call.path]}, metadata)"
    return {
        "again": "# the same call once more, which should give the same bytes",
        "equal": "# equal arrays, in C order, in the opposite order of names: the same bytes",
        "save": f"file = save({given}, metadata)",
        "serialize": f"file = serialize({given}, metadata)",
        "load": "load(file)",
        "deserialize": "deserialize(file)",
        "load_file": f'load_file(file, backend="{call.backend}")',
        "safe_open": f'safe_open(file, "numpy", backend="{call.backend}").get_tensor{"s" * call.whole}',
        "resave": "save(load(file), metadata) == file",
    }[call.kind]


def _arrays(program: Program) -> str:
    return scripts.braced([f"    {name}: {one.source},\n" for name, one in program.things.arrays])


def _specs(program: Program) -> str:
    return scripts.braced([f"    {name}: {_spec(one)},\n" for name, one in program.things.specs])


def _spec(spec: Spec, *, guard: bool = False) -> str:
    data = spec.data if spec.odd else spec.data[: spec.arguments["data_len"]]
    memory = f"memory({spec.promised!r}, end, fill)" if guard else f"memory({data!r})"
    address = spec.source.get("data_ptr", memory)
    rest = ", ".join(f"{word}={text}" for word, text in spec.source.items() if word != "data_ptr")
    return f"safetensors.TensorSpec({rest}, data_ptr={address})"


_MEMORY = """HELD = []

def memory(data):
    HELD.append(numpy.frombuffer(bytearray(data), "uint8"))
    return HELD[-1].ctypes.data
"""
_GUARDED_MEMORY = """HELD = []

def memory(data, end, fill):
    HELD.append(at_guard(numpy.frombuffer(data, "uint8"), end, fill))
    return HELD[-1].ctypes.data"""


def script(program: Program) -> Script:
    """The values to write, and the calls."""
    setup, writer, calls = _given(program, program.calls), Call("save"), []
    for call in program.calls:
        writer = call if call.kind in WRITES else writer
        source = _written(program, call) if call.kind in WRITES else _read(program, call, writer)
        wanted = scripts.REFUSED if call.kind in WRITES and program.content(call).odd else ""
        binds = "FILE" if call.kind in WRITES and call.kind not in TO_FILE else ""
        if call.kind in TO_FILE:
            setup += f"path = {_PATHS[call.path]}\n"
        calls.append(scripts.Call(call.kind, source, wanted, binds))
        if call.kind in TO_FILE and call is not program.calls[-1]:
            calls.append(scripts.Call("", "pathlib.Path(os.fsdecode(path)).read_bytes()", binds="FILE"))
    return Script(setup, tuple(calls))


def _given(program: Program, calls: Iterable[Call]) -> str:
    """The values of the calls, with the helpers that they need."""
    lines = []
    if any(call.arrays for call in calls):
        lines.append(f"TENSORS = {_arrays(program)}")
    if any(not call.arrays for call in calls):
        lines.append(f"SPECS = {_all_specs(program)}")
    lines.append(f"METADATA = {program.things.metadata.source}")
    text = "\n".join(lines)
    if any("FOLDER" in _PATHS.get(call.path, "()") or "(" in _PATHS.get(call.path, "") for call in calls):
        lines.insert(0, 'FOLDER = pathlib.Path(stored(b"")).parent')
    paths = "\n".join(_PATHS[call.path] for call in calls if call.path)
    parts = scripts.needed(_SOURCE, f"{text}\n{paths}")
    memory = _MEMORY if "memory(" in text else ""
    return "\n".join([*([memory] if memory else []), *([parts, ""] if parts else []), *lines]) + "\n"


def _plain(program: Program) -> bool:
    """Whether every spec is one that any release can be given."""
    return all(
        spec.source.keys() == {"dtype", "shape", "data_len"} and not spec.odd and (spec.sound or not spec.entry[2])
        for _, spec in program.things.specs
    )


def _all_specs(program: Program) -> str:
    if not _plain(program):
        return scripts.braced([f"    {name}: {_spec(one)},\n" for name, one in program.things.specs])
    rows = [
        f"    {name}: ({one.source['dtype']}, {one.source['shape']}, {scripts.literal(one.entry[2])}),\n"
        for name, one in program.things.specs
    ]
    return scripts.braced(rows)


def _written(program: Program, call: Call) -> str:
    given = "TENSORS" if call.arrays else "SPECS"
    if call.kind == "serialize" and _plain(program):
        return "serialized(SPECS, METADATA)"
    if call.kind in TO_FILE:
        module = "safetensors.numpy.save_file" if call.arrays else "safetensors.serialize_file"
        return f"{module}({given}, path, METADATA)"
    return f"{'safetensors.numpy.save' if call.arrays else 'safetensors.serialize'}({given}, METADATA)"


def _read(program: Program, call: Call, writer: Call) -> str:
    backend = scripts.backend(call.backend)
    opened = f'safe_open(stored(FILE), framework="numpy"{backend})'
    names = list(program.content(writer).tensors)
    one = (
        f"{opened}.get_tensor({names[0]!r})"
        if len(names) == 1
        else f"[{opened}.get_tensor(name) for name in {names!r}]"
    )
    equal = ", ".join(
        f"{name!r}: {scripts.array(dtype, shape, data)}"
        for name, (dtype, shape, data, _) in reversed(program.content(writer).tensors.items())
    )
    return {
        "load": "safetensors.numpy.load(FILE)",
        "load_file": f"safetensors.numpy.load_file(stored(FILE){backend})",
        "deserialize": "safetensors.deserialize(FILE)",
        "safe_open": f"{opened}.get_tensors()" if call.whole and backend else one,
        "resave": "safetensors.numpy.save(safetensors.numpy.load(FILE), METADATA)",
        "again": f"[{_written(program, writer)} for _ in range(32)]",
        "equal": f"safetensors.numpy.save({{{equal}}}, METADATA)",
    }[call.kind]


def _guarded(crash: Crash, program: Program, writer: Call) -> str:
    """The code for a finding about memory of others: the call of ``writer`` with its values at a guard page.

    "" where the call only reads, or a value has no memory of its own.
    """
    edge, _, state = crash.aspect.rpartition("/")
    moved = all(isinstance(one.value, numpy.ndarray) for _, one in program.things.arrays) if writer.arrays else True
    if state.partition(":")[0] not in ("numpy", "serialize") or not moved:
        return ""
    if writer.arrays:
        rows = [f"    {name}: at_guard({one.source}, end, fill),\n" for name, one in program.things.arrays]
        values = f"TENSORS = {scripts.braced(rows)}"
    else:
        rows = [f"    {name}: {_spec(one, guard=True)},\n" for name, one in program.things.specs]
        values = f"SPECS = {scripts.braced(rows)}"
    paths = _PATHS[writer.path] if writer.path else ""
    helpers = [
        *([_GUARDED_MEMORY] if "memory(" in values else []),
        *([parts] if (parts := scripts.needed(_SOURCE, f"{values}\n{paths}")) else []),
        *(['FOLDER = pathlib.Path(stored(b"")).parent'] if paths else []),
    ]
    given = "TENSORS" if writer.arrays else "SPECS"
    module = "safetensors.numpy.save" if writer.arrays else "safetensors.serialize"
    metadata = program.things.metadata.source
    call = f"{module}{'_file' if paths else ''}({given}, {'path, ' if paths else ''}{metadata})"
    end = (
        [f"path = {paths}", call, "return pathlib.Path(os.fsdecode(path)).read_bytes()"]
        if paths
        else [f"return {call}"]
    )
    run = scripts.block("def run(end, fill):", "ctypes.CDLL(None).mallopt(-6, fill)", values, *end)
    calls = [f"run({one.at_end}, {one.fill})" for one in guarded.RUNS]
    if crash.rule.name == "guard.outside":
        signal = edge.partition(" ")[0] if edge.startswith("SIG") else "SIGSEGV"
        number = next(number for number, one in enumerate(guarded.RUNS) if edge.endswith(one.edge))
        check = f"assert ended(lambda: {calls[number]}) != {signal!r}"
    else:
        check = f"assert {' == '.join(calls)}"
    return "\n\n\n".join([*_GUARD, *helpers, run, check])


def reproducer(crash: Crash, program: Program) -> str:
    """The code for a finding about what was written: of the last call that writes, and what is asserted of it."""
    writer = next((call for call in reversed(program.calls) if call.kind in WRITES), None)
    if writer is None or crash.oracle not in ("roundtrip", "isolation", "guard"):
        return ""
    if crash.oracle == "guard":
        return _guarded(crash, program, writer)
    content, source = program.content(writer), _written(program, writer)
    setup = _given(program, [writer])
    if writer.kind in TO_FILE:
        setup += f"path = {_PATHS[writer.path]}\n"
    if crash.rule.check == "death":
        signal = crash.aspect.partition("/")[0]
        return f"{setup}assert ended(lambda: {source}) != {signal!r}"
    wrong = crash.aspect.partition(": ")[2]
    name = crash.rule.name.partition(".")[2]
    if name == "written" and wrong.startswith("accepted/"):
        return setup + scripts.block('with refused("ValueError", "TypeError"):', source)
    if name == "mode":
        mode = {"existing": "0o640", "symlink": "0o640", "read-only": "0o440"}.get(writer.path, "usual()")
        helper = scripts.needed(_SOURCE, "usual") + "\n\n\n" if mode == "usual()" else ""
        return f"{helper}{setup}{source}\nassert stat.S_IMODE(os.stat(path).st_mode) == {mode}"
    if name == "left-over":
        return f"{setup}{source}\nassert len(list(FOLDER.iterdir())) == 2"
    file = f"FILE = {source}\n"
    if writer.kind in TO_FILE:
        file = f"{source}\nFILE = pathlib.Path(os.fsdecode(path)).read_bytes()\n"
    if name == "unstable" and writer.kind not in TO_FILE:
        return f"{setup}assert len({{{source} for _ in range(32)}}) == 1"
    if name != "written":
        return ""
    if wrong.partition("/")[0] in ("bytes", "dtype", "shape"):
        key, (dtype, shape, data, _) = next(
            (one for one in content.tensors.items() if one[1][3] == wrong.partition("/")[2]),
            next(iter(content.tensors.items())),
        )
        return f"{setup}{file}assert content(FILE)[0][{key!r}] == ({dtype!r}, {list(shape)}, {scripts.literal(data)})"
    tensors = {key: (dtype, list(shape), data) for key, (dtype, shape, data, _) in content.tensors.items()}
    return f"{setup}{file}assert content(FILE) == ({scripts.literal(tensors)}, METADATA or {{}})"
