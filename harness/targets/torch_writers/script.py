"""Programs of target ``torch_writers`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from importlib.resources import files

from harness.findings.crashes import Crash
from harness.programs import scripts
from harness.programs.scripts import Script
from harness.targets.torch_writers.program import WRITES, Call, Item, Program
from harness.targets.torch_writers.tensors import Memory


def tensors(row: Iterable[tuple[str, Item]], word: str = "tensors") -> str:
    """Source of a function that makes these items, as pairs. ``row`` has the source of each name."""
    lines, pairs = [f"def {word}(zero=False):"], []
    for place, (key, memory, source) in enumerate(_sources(row)):
        lines += [f"    m{memory.number} = {memory.source[:-1]}, zero)"] if memory else []
        lines.append(f"    t{place} = {source}")
        pairs.append(f"({key}, t{place})")
    return "\n".join([*lines, f"    return [{', '.join(pairs)}]"]) + "\n"


def _sources(row: Iterable[tuple[str, Item]], prefix: str = "") -> Iterator[tuple[str, Memory | None, str]]:
    """The source of each key and item, and the memory that the item is the first to use."""
    made = set()
    for key, item in row:
        source, memory = item.value, None
        if item.tensor is not None:
            number = item.tensor.memory.number
            memory = None if number in made else item.tensor.memory
            made.add(number)
            view = item.tensor.source.format(f"{prefix}m{number}")
            source = item.form.format(view) if item.same < 0 else f"{prefix}t{item.same}"
        yield key, memory, source


def explain(program: Program) -> str:
    """A program: what it writes, and its calls."""
    things = program.things
    lines = [tensors((item.name, item) for item in things.items), f"metadata = {things.metadata.source}"]
    lines += [_said(program, call) for call in program.calls]
    return "\n".join(lines) + "\n"


def _said(program: Program, call: Call) -> str:
    given = program.things.container.format("dict(tensors())")
    return {
        "save": f"file = save({given}, metadata)",
        "save_file": f"save_file({given}, path, metadata)",
        "save_model": f"save_model(module(tensors()), path, metadata, force_contiguous={call.contiguous})",
        "load": "load(file)",
        "load_file": f'load_file(path, backend="{call.backend}")',
        "load_model": f'load_model(module of {call.model} tensors, path, strict={call.strict}, backend="{call.backend}")',
        "again": "# how many different files come of 32 equal calls",
        "resave": "save(load(file), metadata) == file",
        "twice": f"# {call.reader} twice, what came first overwritten in between",
    }[call.kind]


@functools.cache
def _kit() -> str:
    text = files("harness.targets.torch_writers").joinpath("kit.py").read_text(encoding="utf-8")
    return text.replace("memory(", "_memory(")


def script(program: Program) -> Script:
    """The values to write, and the calls."""
    setup, writer, calls = _given(program, program.calls), Call("save"), []
    for call in program.calls:
        if call.kind in WRITES:
            writer = call
            wanted = scripts.REFUSED if call.kind != "save_model" and program.things.odd else ""
            calls.append(
                scripts.Call(call.kind, _written(program, call), wanted, "FILE" if call.kind == "save" else "")
            )
            if call.kind == "save" and any(_by_path(one) for one in program.calls):
                calls.append(scripts.Call("", "pathlib.Path(path).write_bytes(FILE)"))
            elif call.kind != "save" and any(not _by_path(one) for one in program.calls if one.kind not in WRITES):
                calls.append(scripts.Call("", "pathlib.Path(path).read_bytes()", binds="FILE"))
        elif call.kind != "again" or writer.kind == "save":
            calls.append(scripts.Call(call.kind, _read(program, call)))
    return Script(setup, tuple(calls))


def _by_path(call: Call) -> bool:
    return call.kind in ("load_file", "load_model", "save_file", "save_model") or (
        call.kind == "twice" and call.reader != "load"
    )


def _given(program: Program, calls: Iterable[Call]) -> str:
    """The values of the calls, with the helpers that they need."""
    things, calls = program.things, list(calls)
    lines = ['path = stored(b"")'] if any(map(_by_path, calls)) else []
    if any(call.kind in ("save", "save_file", "again") for call in calls) or not calls:
        lines += _values((item.name, item) for item in things.items)
    models = {"model": "same"} if any(call.kind == "save_model" for call in calls) else {}
    models |= {f"{call.model}_model": call.model for call in calls if call.kind == "load_model"}
    for word, which in models.items():
        lines += _module(word, things.model(which), which if word != "model" else "")
    lines.append(f"METADATA = {things.metadata.source}")
    text = "\n".join(lines)
    helpers = scripts.needed(_kit(), text)
    return (f"{helpers}\n\n\n" if helpers else "") + text + "\n"


def _values(
    row: Iterable[tuple[str, Item]], prefix: str = "", *, zero: bool = False, target: str = "TENSORS"
) -> list[str]:
    """Lines that make these items, and a dictionary of them."""
    lines, pairs = [], {}
    row = list(row)
    shared = {item.same for _, item in row}
    for place, (key, memory, source) in enumerate(_sources(row, prefix)):
        lines += [f"{prefix}m{memory.number} = {_fresh(memory, zero)}"] if memory else []
        if place not in shared:
            pairs[key] = source
            continue
        lines.append(f"{prefix}t{place} = {source}")
        pairs[key] = f"{prefix}t{place}"
    return [*lines, f"{target} = {{{', '.join(f'{key}: {source}' for key, source in pairs.items())}}}"]


def _fresh(memory: Memory, zero: bool) -> str:
    """Source of new memory."""
    data = bytes(memory.elements.nbytes) if zero else memory.elements.tobytes()
    if not data:
        return f"torch.empty({memory.shape}, dtype=torch.{memory.dtype})"
    held = f"bytearray({len(data)})" if not any(data) else f"bytearray({scripts.literal(data)})"
    flat = f"torch.frombuffer({held}, dtype=torch.uint8).view(torch.{memory.dtype})"
    return flat if len(memory.shape) == 1 else f"{flat}.reshape({memory.shape})"


def _module(word: str, row: Iterable[tuple[str, Item]], which: str) -> list[str]:
    """Lines that make a module of these items: straight where that suffices, else by a class."""
    row = list(row)
    last = dict(row)
    prefix = f"{which}_" if which else ""
    lines = _values(((repr(key), item) for key, item in row), prefix, zero=bool(which), target=f"{prefix}state")
    if any("." in key or not key or item.tensor is None or item.form == "parameter({})" for key, item in last.items()):
        return [*lines, f"{word} = module({prefix}state)"]
    lines.append(f"{word} = torch.nn.Module()")
    return lines + [f"{word}.register_buffer({key!r}, {prefix}state[{key!r}])" for key in last]


def _written(program: Program, call: Call) -> str:
    given = program.things.container.format("TENSORS")
    return {
        "save": f"safetensors.torch.save({given}, METADATA)",
        "save_file": f"safetensors.torch.save_file({given}, path, METADATA)",
        "save_model": f"safetensors.torch.save_model(model, path, METADATA{'' if call.contiguous else ', force_contiguous=False'})",
    }[call.kind]


def _read(program: Program, call: Call) -> str:
    backend = scripts.backend(call.backend)
    strict = "" if call.strict else ", strict=False"
    save = _written(program, Call("save"))
    read = "safetensors.torch.load(FILE)" if call.reader == "load" else f"safetensors.torch.load_file(path{backend})"
    return {
        "load": "safetensors.torch.load(FILE)",
        "load_file": f"safetensors.torch.load_file(path{backend})",
        "load_model": f"safetensors.torch.load_model({call.model}_model, path{strict}{backend})",
        "again": f"[{save} for _ in range(32)]",
        "resave": "safetensors.torch.save(safetensors.torch.load(FILE), METADATA)",
        "twice": f"({read}, {read})",
    }[call.kind]


def reproducer(crash: Crash, program: Program) -> str:
    """The code for a finding about a file, an argument or an answer, else ""."""
    if crash.oracle != "torch_roundtrip" or not program.calls:
        return ""
    things, name = program.things, crash.rule.name.partition(".")[2]
    writer = next((call for call in program.calls if call.kind in WRITES), Call("save"))
    if name == "answer":
        return _answer(crash, program, writer)
    setup, source = _given(program, [writer]), _written(program, writer)
    if name == "changed":
        return f"{setup}{source}\nassert METADATA == {things.metadata.source}"
    if name == "unstable" and crash.aspect == "bytes":
        return f"{setup}assert len({{{source} for _ in range(32)}}) == 1" if writer.kind == "save" else ""
    if name == "refused" and not crash.aspect.endswith("advises save_model"):
        return setup + scripts.block(
            f'with accepted({crash.aspect.partition(": ")[2]!r}, "RuntimeError", "ValueError"):', source
        )
    if name != "written":
        return ""
    what, _, word = crash.aspect.partition("/")
    if what == "accepted":
        return setup + scripts.block('with refused("RuntimeError", "ValueError", "TypeError"):', source)
    file = f"FILE = {source}\n" if writer.kind == "save" else f"{source}\nFILE = pathlib.Path(path).read_bytes()\n"
    tensors = things.state if writer.kind == "save_model" else things.tensors
    if what in ("bytes", "dtype", "shape"):
        laid = ("conj", "neg") if word == "lazy" else (word,)
        key, made = next((one for one in tensors.items() if one[1].word in laid), next(iter(tensors.items())))
        dtype, shape, data = made.entry
        return f"{setup}{file}assert content(FILE)[0][{key!r}] == ({dtype!r}, {list(shape)}, {scripts.literal(data)})"
    if writer.kind == "save_model":
        return ""
    entries = {key: (dtype, list(shape), data) for key, made in tensors.items() for dtype, shape, data in [made.entry]}
    return f"{setup}{file}assert content(FILE) == ({scripts.literal(entries)}, METADATA or {{}})"


def _answer(crash: Crash, program: Program, writer: Call) -> str:
    """The code for a wrong answer of ``load_model``, else ""."""
    call = next((call for call in reversed(program.calls) if call.kind == "load_model"), None)
    if call is None:
        return ""
    made = script(program)
    before = "\n".join(one.line for one in made.calls if one.name in ("", *WRITES))
    head = f"{made.setup}{before}\nmissing, unexpected = {_read(program, call)}\n"
    if crash.aspect.startswith("types"):
        return f"{head}assert (type(missing), type(unexpected)) == (list, list)"
    if crash.aspect != "missing" or writer.kind == "save_model":
        return ""
    model = {key: item.tensor for key, item in program.things.model(call.model) if item.tensor is not None}
    there = program.things.tensors.keys() & model.keys()
    absent = [
        key for key, one in model.items()
        if key not in there and not (one.data and any(model[name].holds(one) for name in there))
    ]  # fmt: skip
    return f"{head}assert sorted(missing) == {sorted(absent)}"
