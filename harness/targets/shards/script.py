"""Programs of target ``shards`` as the Python they stand for; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect
import os
import pathlib

from harness.programs import arrays
from harness.programs.arrays import NUMPY_NAMES
from harness.programs.scripts import generator
from harness.targets.shards import reader as shards_reader
from harness.targets.shards.program import INDEX, OUTSIDE, OUTSIDE_TENSORS, Program


def explain(program: Program) -> str:
    """The folder in words, and what a reader should make of it."""
    lines = [f"# {name}: {len(raw)} bytes" for name, raw in program.files]
    lines.append(f"# {INDEX}: {program.text!r:.2000}")
    lines.append(f"# to be refused: {program.wrong}" if program.wrong else f"# gives {sorted(program.wanted)}")
    lines += [f'read_sharded("model", safe_open, backend="{backend}")' for backend in ("mmap", "pread")]
    return "\n".join(lines) + "\n"


def calls(program: Program) -> str:
    """``calls()`` of a program: its folder, and the reading of it through either backend."""
    reader = inspect.getsource(shards_reader.BadIndex) + "\n\n" + inspect.getsource(shards_reader.read_sharded)
    wanted = ", ".join(
        f"{name!r}: numpy.frombuffer({arrays.content(*about)!r}, {NUMPY_NAMES[about[0]]!r}).reshape({list(about[1])})"
        for name, about in program.wanted.items()
    )
    files = ", ".join(f"{name!r}: {raw!r}" for name, raw in program.files)
    text = (
        "from typing import Any\n\nimport json\n\n"
        f"INDEX = {INDEX!r}\nTEXT = {program.text!r}\nFILES = {{{files}}}\nWEIGHTS = {dict(program.weights)!r}\n"
        f"OUTSIDE = {arrays.file(OUTSIDE_TENSORS)!r}\nWANTED = {{{wanted}}}\n\n\n{reader}\n\n"
        f"{inspect.getsource(write_folder)}\n\n"
        'def refused():\n    raise ValueError("to be refused")\n\n\n'
    )
    expected = "refused" if program.wrong else "lambda: WANTED"
    yields = [
        (f'read_sharded(folder, safetensors.safe_open, backend="{backend}")', expected) for backend in ("mmap", "pread")
    ]
    opening = [f"folder = write_folder(tempfile.mkdtemp(), FILES, WEIGHTS, TEXT, {OUTSIDE!r}, OUTSIDE)"]
    return text + generator(yields, opening)


def write_folder(
    root: str, files: dict[str, bytes], weights: dict[str, str], text: str | None, outside: str, beside: bytes
) -> str:
    """Write a checkpoint below ``root``, with what its index speaks of beside the shards; returns its folder."""
    folder = pathlib.Path(root) / "model"
    folder.mkdir()
    (folder.parent / outside).write_bytes(beside)
    spelled = "\n".join(weights.values())
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
        if "link-to-" in spelled:
            (folder / f"link-to-{name}").symlink_to(name)
        if "below" in spelled:
            (folder / "below").mkdir(exist_ok=True)
            os.link(folder / name, folder / "below" / name)
    if "folder." in spelled:
        (folder / "folder.safetensors").mkdir()
    if "loop." in spelled:
        (folder / "loop.safetensors").symlink_to("loop.safetensors")
    if text is not None:
        written = text.replace("{root}", str(root)).encode("utf-8", "surrogateescape")
        (folder / "model.safetensors.index.json").write_bytes(written)
    return str(folder)
