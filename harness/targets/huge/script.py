"""How reproducers read the file that a program of target ``huge`` stands for: the file in a form that needs no program."""

from __future__ import annotations

import base64
import lzma

from harness.findings.crashes import Crash
from harness.programs.templates import bytes_literal, render
from harness.targets.base import Reader
from harness.targets.huge.layout import Layout, build
from harness.targets.huge.program import decode, halved


def reader(crash: Crash, program: bytes) -> Reader:
    """The reader for ``crash``: its ``source`` makes the file, and opens, lists or deserialises it."""
    steps = decode(program)
    layout = build(steps)
    headers = {"HEADER": _packed(layout)}
    if crash.kind == "time":
        headers["HALF"] = _packed(build(halved(steps)))
    buffer = layout.size - 8 - layout.header_size
    return Reader(
        render(
            __package__,
            "reproduce_reader.py.j2",
            prefix=layout.prefix,
            size=layout.size,
            buffer=buffer,
            headers=headers,
            phase=_phase(crash),
        ),
        imports=("base64", "lzma", "tempfile", "time"),
        path="make(HEADER, PREFIX, SIZE)",
        temporary=True,
        mains={
            "time": render(__package__, "reproduce_time.py.j2", buffer=buffer),
            "growth": render(__package__, "reproduce_memory.py.j2"),
        },
    )


def _phase(crash: Crash) -> str:
    """The phase that goes wrong."""
    if crash.kind in ("time", "memory") and (phase := crash.rule.name.partition(".")[2]):
        return phase
    whole = "deserialize" in crash.aspect or crash.summary.startswith("deserialize")
    return "deserialize" if whole else "open"


def _packed(layout: Layout) -> str:
    return bytes_literal(base64.b85encode(lzma.compress(b"".join(layout.pieces), preset=6)))
