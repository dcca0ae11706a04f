"""Programs of target ``writers`` as the Python they stand for; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

from harness.programs import scripts
from harness.programs.arrays import NUMPY_NAMES
from harness.targets.writers import array_layouts
from harness.targets.writers.program import ODD_PATHS, PATHS, TO_FILE, Call, Content, Program
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
    "refused": """def refused():
    raise ValueError("no file can hold this: it should be refused")
""",
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
        lines.append(f"tensors = {_dict((source, made.source) for source, made in program.things.arrays)}")
    if any(not call.arrays for call in program.calls):
        lines.append(f"specs = {_dict((source, _spec(spec)) for source, spec in program.things.specs)}")
    lines.append(f"metadata = {program.things.metadata.source}")
    lines += [_said(call) for call in program.calls]
    return "\n".join(lines) + "\n"


def _said(call: Call) -> str:
    what = "tensors" if call.arrays else "specs"
    if call.kind in TO_FILE:
        return f"{call.kind}({what}, {_PATHS[call.path]}, metadata)"
    if call.kind == "again":
        return "# the same call once more, which should give the same bytes"
    if call.kind == "equal":
        return "# equal arrays, in C order, in the opposite order of names: the same bytes"
    return {
        "save": f"file = save({what}, metadata)",
        "serialize": f"file = serialize({what}, metadata)",
        "load": "load(file)",
        "deserialize": "deserialize(file)",
        "load_file": f'load_file(file, backend="{call.backend}")',
        "safe_open": f'safe_open(file, "numpy", backend="{call.backend}").get_tensor{"s" * call.whole}',
        "resave": "save(load(file), metadata) == file",
    }[call.kind]


def _dict(pairs: Iterable[tuple[str, str]]) -> str:
    row = [f"    {key}: {value},\n" for key, value in pairs]
    return "{\n" + "".join(row) + "}" if row else "{}"


def _spec(spec: Spec) -> str:
    data = spec.data if spec.odd else spec.data[: spec.arguments["data_len"]]
    address = spec.source.get("data_ptr", f"memory({data.hex()!r})")
    rest = ", ".join(f"{word}={text}" for word, text in spec.source.items() if word != "data_ptr")
    return f"safetensors.TensorSpec({rest}, data_ptr={address})"


def calls(program: Program) -> str:
    """``calls()`` of a program, with what it needs before it."""
    body = []
    last = program.calls[0] if program.calls else Call("save")
    for call in program.calls:
        if call.kind in ("save", "serialize", *TO_FILE):
            last = call
        body.append(_yield(program, call, last))
    # What a lone call leaves is looked at from outside as well: of a longer program, that is not what went wrong.
    if len(program.calls) == 1 and last.path in PATHS[:ODD_PATHS] and program.content(last).sound:
        wanted = {"existing": "lambda: '0o640'", "symlink": "lambda: '0o640'", "read-only": "lambda: '0o440'"}
        body.append(f'    yield "mode(path)", lambda: mode(PATHS[-1]), {wanted.get(last.path, "usual")}')
    text = "def calls():\n" + ("\n".join(body) or "    yield from ()")
    made = _dict((source, one.source) for source, one in program.things.arrays)
    parts = [
        "FOLDER = pathlib.Path(tempfile.mkdtemp())\nFILES, PATHS = [], []",
        f"METADATA = {program.things.metadata.source}",
    ]
    if "TENSORS" in text:
        parts.append(f"TENSORS = {made}")
    if "specs()" in text:
        parts.append(_specs(program))
    whole = "\n\n".join([*parts, text])
    helpers = _needed(whole)
    imports = "import ml_dtypes\n" if "ml_dtypes." in whole else ""
    if any("CODES" in helper for helper in helpers):
        helpers.insert(0, f"CODES = { ({name: code for code, name in NUMPY_NAMES.items()})!r}")
    return f"import json\n{imports}import safetensors.numpy\n\n\n" + "\n\n".join([*helpers, *parts, text])


def _specs(program: Program) -> str:
    row = _dict((source, _spec(spec)) for source, spec in program.things.specs).replace("\n", "\n    ")
    return (
        "MEMORY = []\n\n\n"
        "def memory(text):\n"
        '    """The address of these bytes, which stay where they are."""\n'
        '    MEMORY.append(numpy.frombuffer(bytearray.fromhex(text), "uint8"))\n'
        "    return MEMORY[-1].ctypes.data\n\n\n"
        f"def specs():\n    return {row}\n"
    )


def _needed(text: str) -> list[str]:
    """Helpers that a text speaks of, with those that these speak of."""
    sources = {function.__name__: function for function in (scripts.content, scripts.order)}
    sources |= {word: one for word, one in array_layouts.NAMES.items() if word != "numpy"}
    texts = {word: _plain_source(one) for word, one in sources.items()} | _HELPERS
    wanted: dict[str, str] = {}
    todo = [text]
    while todo:
        words = set(re.findall(r"\b\w+(?=\()|\b(?:usual|refused|Own)\b", todo.pop()))
        for word in texts:
            if word in words and word not in wanted:
                wanted[word] = texts[word]
                todo.append(texts[word])
    return [texts[word] for word in texts if word in wanted]


def _plain_source(one: Any) -> str:
    """Its source without annotations."""
    text = inspect.getsource(one)
    text = re.sub(r"(\w+): (?:Any|bytes)(?=[,)])", r"\1", text)
    return re.sub(r" -> \w+:", ":", text)


def _yield(program: Program, call: Call, last: Call) -> str:
    module = "safetensors.numpy" if last.arrays else "safetensors"
    tensors = "TENSORS" if last.arrays else "specs()"
    verb = ("save" if last.arrays else "serialize") + "_file" * (call.kind in TO_FILE)
    again = f"{module}.{'save' if last.arrays else 'serialize'}({tensors}, metadata=METADATA)"
    if call.kind in TO_FILE:
        run = f"write_file({module}.{verb}, {tensors}, {_PATHS[call.path]})"
        said = f"{verb}({tensors}, {_PATHS[call.path]}, METADATA)"
        wanted = _wanted(program.content(call), program)
    elif call.kind in ("save", "serialize"):
        said, run, wanted = f"{verb}({tensors}, METADATA)", f"write({again})", _wanted(program.content(call), program)
    elif call.kind == "again":
        said, run = "how many different files come of 32 equal calls", f"len({{{again} for _ in range(32)}})"
        wanted = "lambda: 1"
    elif call.kind == "equal":
        same = _dict((repr(key), _plain(entry)) for key, entry in reversed(program.content(last).tensors.items()))
        same = " ".join(same.split())
        said, wanted = "equal arrays in the opposite order of names", "lambda: order(FILES[-1])"
        run = f"order(safetensors.numpy.save({same}, metadata=METADATA))"
    elif call.kind == "resave":
        said, wanted = "save(load(file), METADATA)", "lambda: order(FILES[-1])"
        run = "order(safetensors.numpy.save(safetensors.numpy.load(FILES[-1]), metadata=METADATA))"
    elif call.kind == "load":
        said, run, wanted = "load(file)", "held(safetensors.numpy.load(FILES[-1]))", "lambda: content(FILES[-1])[0]"
    elif call.kind == "load_file":
        said, wanted = f'load_file(file, backend="{call.backend}")', "lambda: content(FILES[-1])[0]"
        run = f'held(safetensors.numpy.load_file(kept(FILES[-1]), backend="{call.backend}"))'
    elif call.kind == "deserialize":
        said, wanted = "deserialize(file)", "lambda: content(FILES[-1])[0]"
        run = '{name: [t["dtype"], t["shape"], t["data"].hex()] for name, t in safetensors.deserialize(FILES[-1])}'
    else:
        said, wanted = _said(call), "lambda: content(FILES[-1])"
        run = f'opened(kept(FILES[-1]), "{call.backend}", {call.whole})'
    return f"    yield {said!r}, lambda: {run}, {wanted}"


def _plain(entry: tuple[str, tuple[int, ...], bytes, str]) -> str:
    dtype, shape, data, _ = entry
    return f"numpy.frombuffer(bytes.fromhex({data.hex()!r}), {NUMPY_NAMES.get(dtype, 'uint8')!r}).reshape({shape})"


def _wanted(content: Content, program: Program) -> str:
    """Source of what should be in a file; where nothing can be, of the refusal."""
    if content.odd:
        return "refused"
    tensors = {key: [dtype, list(shape), data.hex()] for key, (dtype, shape, data, _) in content.tensors.items()}
    return f"lambda: ({tensors!r}, METADATA or {{}})"
