"""Programs of target ``torch_writers`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from harness.programs import scripts
from harness.targets.torch_writers.program import ANNOUNCED, WRITES, Call, Item, Program
from harness.targets.torch_writers.tensors import TensorValue


def tensors(row: Iterable[tuple[str, Item]], word: str = "tensors") -> str:
    """Source of a function that makes these items, as pairs. ``row`` has the source of each name."""
    lines, made, pairs = [f"def {word}(zero=False):"], set(), []
    for place, (key, item) in enumerate(row):
        source = item.value
        if item.tensor is not None:
            memory = item.tensor.memory
            if memory.number not in made:
                made.add(memory.number)
                lines.append(f"    m{memory.number} = {memory.source[:-1]}, zero)")
            view = item.tensor.source.format(f"m{memory.number}")
            source = item.form.format(view) if item.same < 0 else f"t{item.same}"
        lines.append(f"    t{place} = {source}")
        pairs.append(f"({key}, t{place})")
    return "\n".join([*lines, f"    return [{', '.join(pairs)}]"]) + "\n"


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


_HELPERS = '''def told(call):
    """The value of a call; SafetensorError in place of an error that the library announces."""
    try:
        return call()
    except (ValueError, RuntimeError) as error:
        if any(words in str(error) for words in ANNOUNCED):
            raise safetensors.SafetensorError(str(error)) from error
        raise


def write(raw):
    """Store the last written file."""
    FILES.append(raw)
    PATH.write_bytes(raw)
    return raw


def written():
    write(PATH.read_bytes())


def saved(raw):
    write(raw)
    return content(raw)


def fresh():
    """A new copy of the metadata; removes the file."""
    PATH.unlink(missing_ok=True)
    GIVEN[:] = [METADATA.copy() if isinstance(METADATA, dict) else METADATA]
    return GIVEN[0]


def of_file():
    """The content of the file in the form of held(); a last dimension of pairs is half as long."""
    return {
        name: (WORDS[dtype], tuple(shape[:-1] + [shape[-1] // 2] if dtype == "F4" else shape), bytes.fromhex(data))
        for name, (dtype, shape, data) in content(FILES[-1])[0].items()
    }


def lost(wanted, together):
    """The names of a module with other values in the file, or without values there under any name with the same memory."""
    found = content(FILES[-1])
    if isinstance(found, str):
        return found
    return [
        name for name, about in wanted.items()
        if (found[0][name] != about if name in found[0] else not any(other in found[0] for other in together[name]))
    ]


def twice(read):
    """Read, overwrite the result, and read again: whether nothing else changed."""
    first = read()
    before = held(first)
    scribble(first)
    return held(read()) == before and PATH.read_bytes() == FILES[-1]
'''


def calls(program: Program) -> str:
    """``calls()`` of a program, with the helpers that it needs."""
    things = program.things
    words = {made.code: made.dtype for made in (*things.tensors.values(), *things.state.values()) if made.code}
    kit = files("harness.targets.torch_writers").joinpath("kit.py").read_text(encoding="utf-8")
    parts = [
        "import collections\nimport json\nimport types\n\nimport safetensors.torch\nimport torch\n",
        scripts.plain(kit[kit.index("class Own") :]),
        scripts.plain(inspect.getsource(scripts.content)),
        _HELPERS,
        scripts.REFUSED.rstrip("\n"),
        'PATH = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"\nFILES, GIVEN = [], []',
        f"ANNOUNCED = {ANNOUNCED!r}\nWORDS = {words!r}\nMETADATA = {things.metadata.source}\n\n",
        tensors((item.name, item) for item in things.items),
    ]
    models = {f"{call.model}_tensors": things.model(call.model) for call in program.calls if call.kind == "load_model"}
    if any(call.kind == "save_model" for call in program.calls):
        models["state"] = things.model("same")
    parts += [tensors(((repr(key), item) for key, item in row), word) for word, row in models.items()]
    yields: list[tuple[str, ...]] = []
    writer = program.calls[0] if program.calls else Call("save")
    for call in program.calls:
        writer = call if call.kind in WRITES else writer
        # Another call to save would not repeat a file of another function.
        if call.kind != "again" or writer.kind == "save":
            yields.append((_said(program, call), *_run(program, call)))
        if call.kind in WRITES:
            yields.append(("the metadata that was handed over", "GIVEN[0]", "lambda: METADATA"))
    return "\n\n".join([*parts, scripts.generator(yields)])


def _run(program: Program, call: Call) -> tuple[str, str]:
    """Source of a call, and of a function that gives the expected value."""
    given = f"{program.things.container.format('dict(tensors())')}"
    save = f"safetensors.torch.save({given}, fresh())"
    backend = f'backend="{call.backend}"'
    if call.kind in ("save", "save_file"):
        file = f"(safetensors.torch.save_file({given}, str(PATH), fresh()), PATH.read_bytes())[1]"
        return f"saved(told(lambda: {save if call.kind == 'save' else file}))", _wanted(program)
    if call.kind == "save_model":
        saved = f"safetensors.torch.save_model(module(state()), str(PATH), fresh(), force_contiguous={call.contiguous})"
        wanted = "refused" if program.things.odd_state else "lambda: []"
        return f"(told(lambda: {saved}), written(), lost({_state(program)}))[2]", wanted
    if call.kind == "load":
        return "held(told(lambda: safetensors.torch.load(FILES[-1])))", "of_file"
    if call.kind == "load_file":
        return f"held(told(lambda: safetensors.torch.load_file(str(PATH), {backend})))", "of_file"
    if call.kind == "twice":
        read = "load(FILES[-1])" if call.reader == "load" else f"load_file(str(PATH), {backend})"
        return f"twice(lambda: told(lambda: safetensors.torch.{read}))", "lambda: True"
    if call.kind == "resave":
        resaved = "told(lambda: safetensors.torch.save(safetensors.torch.load(FILES[-1]), fresh()))"
        return f"content({resaved})", "lambda: content(FILES[-1])"
    if call.kind == "again":
        return f"len({{{save} for _ in range(32)}})", "lambda: 1"
    loading = f"safetensors.torch.load_model(model, str(PATH), strict={call.strict}, {backend})"
    run = f"(lambda model: loaded(model, told(lambda: {loading})))(module({call.model}_tensors(zero=True)))"
    if call.model == "same" and call.strict:
        wanted_state = {key: (made.dtype, made.shape, made.data) for key, made in program.things.state.items()}
        return run, f"lambda: ({wanted_state!r}, [], [], (list, list))"
    return f"{run}[3]", "lambda: (list, list)"


def _state(program: Program) -> str:
    """Source of the state of a module, and of the names that share the memory of each."""
    state = program.things.state
    together = {
        key: [other for other, there in state.items() if other != key and there.memory is made.memory]
        for key, made in state.items()
    }
    return f"{_entries(state)!r}, {together!r}"


def _wanted(program: Program) -> str:
    """Source of the expected content of a file, or of the refusal where no file can hold it."""
    return "refused" if program.things.odd else f"lambda: ({_entries(program.things.tensors)!r}, METADATA or {{}})"


def _entries(tensors: dict[Any, TensorValue]) -> dict[Any, list[Any]]:
    return {
        key: [dtype, list(shape), data.hex()] for key, made in tensors.items() for dtype, shape, data in [made.entry]
    }
