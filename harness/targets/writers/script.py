"""Programs of target ``writers`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect
import re

from harness.programs import scripts
from harness.programs.arrays import NUMPY_NAMES
from harness.targets.writers import array_layouts
from harness.targets.writers.program import ODD_PATHS, PATHS, TO_FILE, WRITES, Call, Content, Program
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
_HELPERS = {
    "existing": """def existing(mode):
    path = FOLDER / "old.safetensors"
    path.unlink(missing_ok=True)
    path.write_bytes(b"something else")
    path.chmod(mode)
    return str(path)
""",
    "link": """def link():
    existing(0o640)
    path = FOLDER / "link.safetensors"
    path.unlink(missing_ok=True)
    path.symlink_to(FOLDER / "old.safetensors")
    return str(path)
""",
    "BytesLike": """class BytesLike:
    def __fspath__(self):
        return os.fsencode(FOLDER / "new.safetensors")
""",
    "mode": """def mode(path):
    return oct(os.stat(path).st_mode & 0o777)
""",
    "usual": '''def usual():
    """The permissions of a new file."""
    umask = os.umask(0)
    os.umask(umask)
    return oct(0o666 & ~umask)
''',
    "refused": scripts.REFUSED.rstrip("\n") + "\n",
    "held": '''def held(arrays):
    """Arrays in the form of content(): format dtype, shape and bytes by name."""
    return {name: [CODES[array.dtype.name], list(array.shape), array.tobytes().hex()] for name, array in arrays.items()}
''',
    "opened": """def opened(path, backend, whole):
    with safetensors.safe_open(path, framework="numpy", backend=backend) as file:
        arrays = file.get_tensors() if whole else {name: file.get_tensor(name) for name in file.keys()}
        return held(arrays), file.metadata() or {}
""",
    "kept": """def kept(raw):
    path = FOLDER / "kept.safetensors"
    path.write_bytes(raw)
    return str(path)
""",
    "write": '''def write(raw):
    """Remember what was written last; what it holds."""
    FILES.append(raw)
    return content(raw)
''',
    "write_file": '''def write_file(save, tensors, path):
    """Have it written to a file, and remember that."""
    PATHS.append(path)
    save(tensors, path, metadata=METADATA)
    return write(pathlib.Path(os.fsdecode(path)).read_bytes())
''',
}


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


def _spec(spec: Spec) -> str:
    data = spec.data if spec.odd else spec.data[: spec.arguments["data_len"]]
    address = spec.source.get("data_ptr", f"memory({data.hex()!r})")
    rest = ", ".join(f"{word}={text}" for word, text in spec.source.items() if word != "data_ptr")
    return f"safetensors.TensorSpec({rest}, data_ptr={address})"


def calls(program: Program) -> str:
    """``calls()`` of a program, with the helpers that it needs."""
    yields: list[tuple[str, ...]] = []
    last = program.calls[0] if program.calls else Call("save")
    for call in program.calls:
        if call.kind in WRITES:
            last = call
        yields.append(_yield(program, call, last))
    # Of a lone call the reproducer also checks the permissions of its file: in a longer program they are not the defect.
    if len(program.calls) == 1 and last.path in PATHS[:ODD_PATHS] and program.content(last).sound:
        wanted = {"existing": "lambda: '0o640'", "symlink": "lambda: '0o640'", "read-only": "lambda: '0o440'"}
        yields.append(("mode(path)", "mode(PATHS[-1])", wanted.get(last.path, "usual")))
    text = scripts.generator(yields)
    parts = [
        "FOLDER = pathlib.Path(tempfile.mkdtemp())\nFILES, PATHS = [], []",
        f"METADATA = {program.things.metadata.source}",
    ]
    if "TENSORS" in text:
        parts.append(f"TENSORS = {_arrays(program)}")
    if "specs()" in text:
        parts.append(f"{_MEMORY}def specs():\n    return {_specs(program)}\n".replace("\n}", "\n    }"))
    whole = "\n\n".join([*parts, text])
    helpers = _needed(whole)
    imports = "import ml_dtypes\n" if "ml_dtypes." in whole else ""
    if any("CODES" in helper for helper in helpers):
        helpers.insert(0, f"CODES = { ({name: code for code, name in NUMPY_NAMES.items()})!r}")
    return f"import json\n{imports}import safetensors.numpy\n\n\n" + "\n\n".join([*helpers, whole])


_MEMORY = '''MEMORY = []


def memory(text):
    """The address of these bytes, which stay in place."""
    MEMORY.append(numpy.frombuffer(bytearray.fromhex(text), "uint8"))
    return MEMORY[-1].ctypes.data


'''


def _needed(text: str) -> list[str]:
    """The helpers that a text names, with the helpers that these name."""
    functions = [scripts.content, scripts.order, *(one for word, one in array_layouts.NAMES.items() if word != "numpy")]
    texts = {one.__name__: scripts.plain(inspect.getsource(one)) for one in functions} | _HELPERS
    wanted: set[str] = set()
    todo = [text]
    while todo:
        words = set(re.findall(r"\b\w+(?=\()|\b(?:usual|refused|Own)\b", todo.pop()))
        new = texts.keys() & words - wanted
        wanted |= new
        todo += [texts[word] for word in new]
    return [texts[word] for word in texts if word in wanted]


def _yield(program: Program, call: Call, last: Call) -> tuple[str, str, str]:
    """A call as (text, source, source of the expected value). ``last`` is the call that wrote the file."""
    tensors, module, verb = (
        ("TENSORS", "safetensors.numpy", "save") if last.arrays else ("specs()", "safetensors", "serialize")
    )
    written = f"{module}.{verb}({tensors}, metadata=METADATA)"
    if call.kind in TO_FILE:
        path, wanted = _PATHS[call.path], _wanted(program.content(call))
        return (
            f"{verb}_file({tensors}, {path}, METADATA)",
            f"write_file({module}.{verb}_file, {tensors}, {path})",
            wanted,
        )
    if call.kind in WRITES:
        return f"{verb}({tensors}, METADATA)", f"write({written})", _wanted(program.content(call))
    if call.kind == "again":
        return "how many different files come of 32 equal calls", f"len({{{written} for _ in range(32)}})", "lambda: 1"
    if call.kind == "equal":
        equal = ", ".join(
            f"{name!r}: {scripts.array(dtype, shape, data)}"
            for name, (dtype, shape, data, _) in reversed(program.content(last).tensors.items())
        )
        run = f"order(safetensors.numpy.save({{{equal}}}, metadata=METADATA))"
        return "equal arrays in the opposite order of names", run, "lambda: order(FILES[-1])"
    if call.kind == "resave":
        run = "order(safetensors.numpy.save(safetensors.numpy.load(FILES[-1]), metadata=METADATA))"
        return "save(load(file), METADATA)", run, "lambda: order(FILES[-1])"
    run = {
        "load": "held(safetensors.numpy.load(FILES[-1]))",
        "load_file": f'held(safetensors.numpy.load_file(kept(FILES[-1]), backend="{call.backend}"))',
        "deserialize": '{name: [t["dtype"], t["shape"], t["data"].hex()] for name, t in safetensors.deserialize(FILES[-1])}',
        "safe_open": f'opened(kept(FILES[-1]), "{call.backend}", {call.whole})',
    }[call.kind]
    return _said(call), run, "lambda: content(FILES[-1])" + ("" if call.kind == "safe_open" else "[0]")


def _wanted(content: Content) -> str:
    """Source of the expected content of a file, or of the refusal where no file can hold it."""
    if content.odd:
        return "refused"
    tensors = {key: [dtype, list(shape), data.hex()] for key, (dtype, shape, data, _) in content.tensors.items()}
    return f"lambda: ({tensors!r}, METADATA or {{}})"
