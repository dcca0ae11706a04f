"""Programs of target ``torch_writers`` as the Python they stand for; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

from harness.programs import scripts
from harness.targets.torch_writers.program import ANNOUNCED, Call, Item, Program


def tensors(row: Iterable[tuple[str, Item]], word: str = "tensors") -> str:
    """Source of a function that makes these items anew, as pairs with the source of each name."""
    lines, made, pairs = [f"def {word}(zero=False):"], set(), []
    for place, (key, item) in enumerate(row):
        source = item.value
        if item.made is not None:
            memory = item.made.memory
            if memory.number not in made:
                made.add(memory.number)
                lines.append(f"    m{memory.number} = {memory.source[:-1]}, zero)")
            source = (
                f"t{item.same}" if item.same >= 0 else item.form.format(item.made.source.format(f"m{memory.number}"))
            )
        lines.append(f"    t{place} = {source}")
        pairs.append(f"({key}, t{place})")
    return "\n".join([*lines, f"    return [{', '.join(pairs)}]"]) + "\n"


def handed_over(program: Program) -> str:
    """Source of what ``save`` gets."""
    return program.things.holder.format("dict(tensors())")


def model(program: Program, which: str) -> str:
    """Source of the function that makes the tensors of a module to load onto."""
    return tensors([(repr(key), item) for key, item in program.things.model(which)], "others")


def explain(program: Program) -> str:
    """A program: what it writes, and its calls."""
    things = program.things
    lines = [tensors((item.name, item) for item in things.items), f"metadata = {things.metadata.source}"]
    lines += [_said(program, call) for call in program.calls]
    return "\n".join(lines) + "\n"


def _said(program: Program, call: Call) -> str:
    return {
        "save": f"file = save({handed_over(program)}, metadata)",
        "save_file": f"save_file({handed_over(program)}, path, metadata)",
        "save_model": f"save_model(module(tensors()), path, metadata, force_contiguous={call.contiguous})",
        "load": "load(file)",
        "load_file": f'load_file(path, backend="{call.backend}")',
        "load_model": f'load_model(module of {call.model} tensors, path, strict={call.strict}, backend="{call.backend}")',
        "again": "# the same call once more, which should give the same bytes",
        "resave": "save(load(file), metadata) == file",
        "twice": f"# {call.reader} twice, what came first overwritten in between",
    }[call.kind]


@lru_cache(1)
def _kit() -> str:
    """The functions that programs are made of."""
    text = files("harness.targets.torch_writers").joinpath("kit.py").read_text(encoding="utf-8")
    return text[text.index("class Own") :]


_HELPERS = '''def told(call):
    """What a call gives; where it fails as the library announces, with SafetensorError."""
    try:
        return call()
    except (ValueError, RuntimeError) as error:
        if any(words in str(error) for words in ANNOUNCED):
            raise safetensors.SafetensorError(str(error)) from error
        raise


def write(raw):
    """Remember what was written last."""
    FILES.append(raw)
    PATH.write_bytes(raw)
    return raw


def written():
    write(PATH.read_bytes())


def saved(raw):
    write(raw)
    return content(raw)


def fresh():
    """A new copy of the metadata, and of the file none."""
    PATH.unlink(missing_ok=True)
    GIVEN[:] = [METADATA.copy() if isinstance(METADATA, dict) else METADATA]
    return GIVEN[0]


def of_file():
    """What the file holds, as tensors are held; a last dimension of pairs is half as long."""
    return {
        name: (WORDS[dtype], tuple(shape[:-1] + [shape[-1] // 2] if dtype == "F4" else shape), bytes.fromhex(data))
        for name, (dtype, shape, data) in content(FILES[-1])[0].items()
    }


def lost(wanted, together):
    """The names of a module of which a file holds other values, or neither values nor a name that shares them."""
    found = content(FILES[-1])
    if isinstance(found, str):
        return found
    return [
        name for name, about in wanted.items()
        if (found[0][name] != about if name in found[0] else not any(other in found[0] for other in together[name]))
    ]


def twice(read):
    """What is read once, and once more when that was overwritten."""
    first = read()
    before = held(first)
    scribble(first)
    return held(read()) == before and PATH.read_bytes() == FILES[-1]


def refused():
    raise ValueError("to be refused")

'''


def calls(program: Program) -> str:
    """``calls()`` of a program, with what it needs before it."""
    things = program.things
    row = [(item.name, item) for item in things.items]
    words = {made.code: made.dtype for made in (*things.tensors.values(), *things.state.values()) if made.code}
    parts = [
        "import collections\nimport json\nimport types\nfrom typing import Any\n\nimport safetensors.torch\nimport torch\n",
        _kit(),
        inspect.getsource(scripts.content),
        _HELPERS,
        'PATH = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"\nFILES, GIVEN = [], []',
        f"ANNOUNCED = {ANNOUNCED!r}\nWORDS = {words!r}\nMETADATA = {things.metadata.source}\n\n",
        tensors(row),
    ]
    body = []
    writer = program.calls[0] if program.calls else Call("save")
    models = {call.model for call in program.calls if call.kind == "load_model"}
    parts += [model(program, which).replace("def others", f"def {which}_tensors") for which in sorted(models)]
    if any(call.kind == "save_model" for call in program.calls):
        parts.append(
            tensors(((repr(key), item) for key, item in zip(things.names, things.items, strict=True)), "state")
        )
    for call in program.calls:
        if call.kind in ("save", "save_file", "save_model"):
            writer = call
        body += _yields(program, call, writer)
    return "\n\n".join([*parts, "def calls():\n" + "\n".join(body or ["    yield from ()"])])


def _yields(program: Program, call: Call, writer: Call) -> list[str]:
    save = f"safetensors.torch.save({handed_over(program)}, fresh())"
    path = "str(PATH)"
    backend = f'backend="{call.backend}"'
    said = _said(program, call)
    if call.kind in ("save", "save_file"):
        file = f"(safetensors.torch.save_file({handed_over(program)}, {path}, fresh()), PATH.read_bytes())[1]"
        run = f"saved(told(lambda: {save if call.kind == 'save' else file}))"
        return [_yield(said, run, _wanted(program)), _KEPT]
    if call.kind == "save_model":
        run = (
            f"(told(lambda: safetensors.torch.save_model(module(state()), {path}, fresh(), "
            f"force_contiguous={call.contiguous})), written(), lost({_state(program)}))[2]"
        )
        return [_yield(said, run, "refused" if program.things.odd_state else "lambda: []"), _KEPT]
    if call.kind == "load":
        return [_yield(said, "held(told(lambda: safetensors.torch.load(FILES[-1])))", "of_file")]
    if call.kind == "load_file":
        return [_yield(said, f"held(told(lambda: safetensors.torch.load_file({path}, {backend})))", "of_file")]
    if call.kind == "twice":
        read = "load(FILES[-1])" if call.reader == "load" else f"load_file({path}, {backend})"
        return [_yield(said, f"twice(lambda: told(lambda: safetensors.torch.{read}))", "lambda: True")]
    if call.kind == "resave":
        run = "told(lambda: safetensors.torch.save(safetensors.torch.load(FILES[-1]), fresh()))"
        return [_yield(said, f"content({run})", "lambda: content(FILES[-1])")]
    if call.kind == "again":
        one = save
        if writer.kind != "save":
            return []
        return [
            _yield("how many different files come of 32 equal calls", f"len({{{one} for _ in range(32)}})", "lambda: 1")
        ]
    loading = f"safetensors.torch.load_model(model, {path}, strict={call.strict}, {backend})"
    run = f"(lambda model: loaded(model, told(lambda: {loading})))(module({call.model}_tensors(zero=True)))"
    wanted = {key: (made.dtype, made.shape, made.data) for key, made in program.things.state.items()}
    if call.model == "same" and call.strict:
        return [_yield(said, run, f"lambda: ({wanted!r}, [], [], (list, list))")]
    types = f"{run}[3]"
    return [_yield(said, types, "lambda: (list, list)")]


_KEPT = '    yield "the metadata that was handed over", lambda: GIVEN[0], lambda: METADATA'


def _state(program: Program) -> str:
    """Source of what a module holds, and which names share each other's values."""
    state = program.things.state
    wanted = {
        key: [entry[0], list(entry[1]), entry[2].hex()]
        for key, entry in ((key, made.entry) for key, made in state.items())
    }
    together = {
        key: [other for other, there in state.items() if other != key and there.memory is made.memory]
        for key, made in state.items()
    }
    return f"{wanted!r}, {together!r}"


def _yield(said: str, run: str, wanted: str) -> str:
    return f"    yield {said!r}, lambda: {run}, {wanted}"


def _wanted(program: Program) -> str:
    """Source of what should be in a file; where nothing can be, of the refusal."""
    things = program.things
    if things.odd:
        return "refused"
    row = {key: [made.entry[0], list(made.entry[1]), made.data.hex()] for key, made in things.tensors.items()}
    return f"lambda: ({row!r}, METADATA or {{}})"
