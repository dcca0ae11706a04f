"""Programs of target ``device`` as the Python they stand for; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

from harness.programs.scripts import literal
from harness.targets.device import program as device

_DEVICES = '''class Word(str):
    """A string that is no plain one."""


class Number:
    """An integer by __index__ alone."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


def opened(path, framework, **more):
    """Opens a file and reads nothing of it."""
    with safetensors.safe_open(path, framework, **more) as file:
        return file.keys()


def load_file(path, **more):
    import safetensors.torch

    return sorted(safetensors.torch.load_file(path, **more))


def refused():
    raise ValueError("this names no device that the framework has")


'''


def _device_call(call: device.Call, opened: str) -> str:
    source = f"({call.given.source})" if ", " in call.given.source else call.given.source
    more = f'device={source}, backend="{call.backend}"'
    return f"load_file(path, {more})" if call.kind == "load_file" else f'{opened}(path, "{call.framework}", {more})'


def explain(calls: tuple[device.Call, ...]) -> str:
    """A program of target ``device``."""
    lines = [_device_call(call, "safe_open") for call in calls]
    return "\n".join(['path = "model.safetensors"', *lines]) + "\n"


def calls(given: tuple[device.Call, ...]) -> str:
    """``calls()`` of a program of target ``device``."""
    yields = []
    for call in given:
        fits = call.given.place == "cpu" or (call.given.place and call.framework == "pt")
        yields.append((_device_call(call, "opened"), "None" if fits else "refused"))
    opening = [
        'path = str(pathlib.Path(tempfile.mkdtemp()) / "model.safetensors")',
        "pathlib.Path(path).write_bytes(FILE)",
    ]
    lines = ["def calls():", *(f"    {line}" for line in opening)]
    lines += [f"    yield {text!r}, lambda: {text}, {wanted}" for text, wanted in yields]
    return f"FILE = {literal(device.FILE)}\n\n\n{_DEVICES}" + "\n".join(lines)
