"""Programs of target ``device`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect

from harness.programs import scripts
from harness.targets.device.program import FILE, Call, Program, Word


def opened(path, framework, **more):  # type: ignore[no-untyped-def]
    """Opens a file and reads nothing of it."""
    import safetensors

    with safetensors.safe_open(path, framework, **more) as file:
        return file.keys()


def load_file(path, **more):  # type: ignore[no-untyped-def]
    """Loads a file with torch; the names of its tensors."""
    import safetensors.torch

    return sorted(safetensors.torch.load_file(path, **more))


def _call(call: Call, opening: str) -> str:
    source = f"({call.given.source})" if ", " in call.given.source else call.given.source
    more = f'device={source}, backend="{call.backend}"'
    return f"load_file(path, {more})" if call.kind == "load_file" else f'{opening}(path, "{call.framework}", {more})'


def explain(program: Program) -> str:
    """The calls of a program."""
    return "\n".join(['path = "model.safetensors"', *(_call(call, "safe_open") for call in program)]) + "\n"


def calls(program: Program) -> str:
    """``calls()`` of a program."""
    yields = []
    for call in program:
        fits = call.given.place == "cpu" or (call.given.place and call.framework == "pt")
        yields.append((_call(call, "opened"), "None" if fits else "refused"))
    parts = [scripts.plain(inspect.getsource(one)) for one in (Word, scripts.Index, opened, load_file)]
    body = scripts.generator(yields, (*scripts.WRITE_FILE, "path = str(path)"))
    return "\n\n".join([f"FILE = {scripts.literal(FILE)}\n", *parts, f"{scripts.REFUSED}{body}"])
