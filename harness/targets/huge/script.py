"""The file that a program of target ``huge`` stands for, as Python that needs no program."""

from __future__ import annotations

import base64
import lzma

from harness.findings.crashes import Crash
from harness.programs import scripts
from harness.programs.scripts import Script
from harness.targets.huge.layout import Layout, build
from harness.targets.huge.oracle import MEMORY_FACTOR, MEMORY_FLOOR, TIME_RATIO
from harness.targets.huge.program import decode, halved

_CALLS = {
    "open": 'safe_open(path, framework="numpy")',
    "pread": 'safe_open(path, framework="numpy", backend="pread")',
    "deserialize": "safetensors.deserialize(open(path, 'rb').read())",
}


def script(program: bytes) -> Script:
    """The file, its opening, and its reading at once."""
    layout = build(decode(program))
    whole = layout.prefix == layout.header_size
    text = "file(HEADER)" if whole else f"({layout.prefix}).to_bytes(8, 'little') + HEADER"
    if layout.size < 8 + layout.header_size:
        text = f"({text})[:{layout.size}]"
    setup = f"{_header('HEADER', layout)}\npath = stored({text}, size={layout.size})"
    calls = [scripts.Call(name, source) for name, source in _CALLS.items()]
    keys = "[(sorted(file.keys()), file.metadata()) for file in [{}]]".format(_CALLS["open"])
    return Script(setup, (scripts.Call("keys", keys), *calls[::-1]), opened=_CALLS["open"])


def reproducer(crash: Crash, program: bytes) -> str:
    """The code for an answer of one phase, or for a cost."""
    made, check = script(program), crash.rule.check
    phase = crash.rule.name.partition(".")[2] if check in ("time", "memory") else ""
    if check in ("accepted", "refused") and crash.aspect.endswith(" alone"):
        phase = crash.aspect.rpartition("/")[2].removesuffix(" alone")
    call = (made.named(phase) or made.calls[-1]).source
    if check == "accepted":
        return f"{made.setup}\n{scripts.block('with refused():', call)}"
    if check == "refused":
        return f"{made.setup}\n{scripts.block('with accepted():', call)}"
    if check == "memory":
        most = f"max({MEMORY_FLOOR}, {MEMORY_FACTOR} * len(HEADER)) >> 20"
        return f"{made.setup}\nassert took_mb(lambda: {call}) <= {most}"
    if check != "time":
        return ""
    layout = build(halved(decode(program)))
    half = f"{_header('HALF', layout)}\nhalf = stored(file(HALF), size={layout.size})"
    return (
        f"{made.setup}\n{half}\nassert slower(lambda: {call}, lambda: {call.replace('path', 'half')}) <= {TIME_RATIO}"
    )


def _header(name: str, layout: Layout) -> str:
    """Source of a header; compressed where it is long."""
    text = b"".join(layout.pieces)
    if len(text) <= scripts.LONGEST:
        return f"{name} = {scripts.literal(text)}"
    return f"{name} = lzma.decompress(base64.b85decode({scripts.literal(base64.b85encode(lzma.compress(text, preset=6)))}))"
