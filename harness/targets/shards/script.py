"""Programs of target ``shards`` as Python; see :mod:`harness.programs.scripts`."""

from __future__ import annotations

import inspect
import os
import pathlib

from harness.programs import arrays, scripts
from harness.programs.scripts import Call, Script
from harness.targets.shards import reader
from harness.targets.shards.program import OUTSIDE, OUTSIDE_TENSORS, Program
from harness.targets.shards.reader import INDEX


def explain(program: Program) -> str:
    """The folder in words, and what a reader should make of it."""
    lines = [f"# {name}: {len(raw)} bytes" for name, raw in program.files]
    lines.append(f"# {INDEX}: {program.text!r:.2000}")
    lines.append(f"# to be refused: {program.wrong}" if program.wrong else f"# gives {sorted(program.wanted)}")
    lines += [f'read_sharded("model", safe_open, backend="{backend}")' for backend in arrays.BACKENDS]
    return "\n".join(lines) + "\n"


def script(program: Program) -> Script:
    """The folder, and the reading of it through either backend."""
    wanted = ", ".join(
        f"{name!r}: {scripts.array(dtype, shape, arrays.content(dtype, shape, salt))}"
        for name, (dtype, shape, salt) in program.wanted.items()
    )
    functions = [scripts.plain(inspect.getsource(one)) for one in (reader.BadIndex, reader.read_sharded, write_folder)]
    setup = [f"INDEX = {INDEX!r}", *(f"{text}\n\n" for text in functions)]
    setup += [f"FILES = {dict(program.files)!r}", f"OUTSIDE = {arrays.file(OUTSIDE_TENSORS)!r}"]
    given = f"FILES, {dict(program.weights)!r}, {program.text!r}, {OUTSIDE!r}, OUTSIDE"
    setup.append(f"folder = write_folder(tempfile.mkdtemp(), {given})")
    calls = [
        Call(f"read_sharded{'' if word == 'mmap' else '.' + word}", f"read_sharded(folder, safe_open{scripts.backend(word)})",
             scripts.REFUSED if program.wrong else f"{{{wanted}}}")
        for word in arrays.BACKENDS
    ]  # fmt: skip
    return Script("\n".join(setup), tuple(calls))


def write_folder(
    root: str, files: dict[str, bytes], weights: dict[str, str], text: str | None, outside: str, beside: bytes
) -> str:
    """Write a checkpoint below ``root``, with the links and folders that its index names; returns its folder."""
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
