"""Builds of the parser as objects of a store, by their content hash, for hosts that do not have them.

A build from a store is run only where its content has the hash that was asked for.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from harness import paths
from harness.errors import HarnessError
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.store.objects import Objects

# Most bytes of a packed and of an unpacked build, and most files.
_PACKED, _UNPACKED, _FILES = 64 << 20, 256 << 20, 5000
_NAME = re.compile(r"(?:manifest\.json|novelty\.so|site(?:/[A-Za-z0-9_][A-Za-z0-9._+-]*)+)")


def _path(content: str) -> str:
    return f"parsers/{content}.tar.gz"


def offer(objects: Objects, parser: Parser) -> None:
    """Store a build, unless it is there."""
    if any(entry.path == _path(parser.content) for entry in objects.list("parsers")):
        return
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path in sorted(parser.root.rglob("*")):
            name = path.relative_to(parser.root).as_posix()
            if path.is_file() and _NAME.fullmatch(name) and "__pycache__" not in name:
                archive.add(path, name, recursive=False)
    objects.create(_path(parser.content), packed.getvalue())


def obtain(objects: Objects, content: str, name: str | None = None) -> Parser:
    """The build with that content hash: the one called ``name``, any other one here, or one from the store.

    Raises HarnessError where there is none, and where this interpreter cannot load it.
    """
    here = [registry.read(name or registry.default_release()), *registry.available()]
    found = next((one for one in here if one is not None and one.content == content), None)
    if found is None:
        found = _unpacked(objects, content)
    if reason := found.why_not_here():
        raise HarnessError(
            f"the parser {content[:12]} cannot be loaded: {reason}", hint="use the same Python on each host"
        )
    return found


def _unpacked(objects: Objects, content: str) -> Parser:
    packed = objects.read(_path(content), _PACKED)
    if packed is None:
        raise HarnessError(
            f"there is no parser {content[:12]} here, nor in the store {objects.address}",
            hint="copy its folder in build/parsers from the host that has it",
        )
    builds = paths.parsers_dir() / ".builds"
    builds.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".tmp-", dir=builds))
    name = f"shared-{content[:12]}"
    try:
        _unpack(packed, work)
        manifest = registry.in_folder(name, work)
        if manifest is None or manifest.content != content:
            objects.refused.add(_path(content), "content does not match its name")
            raise HarnessError(
                f"the parser {content[:12]} in the store {objects.address} has another content",
                hint="delete the object, and start the campaign again",
            )
        final = builds / name
        shutil.rmtree(final, ignore_errors=True)
        work.rename(final)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise HarnessError(f"the parser {content[:12]} cannot be unpacked: {error}", hint="free some disk") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    link = work.with_suffix(".link")
    link.symlink_to(os.path.relpath(final, paths.parsers_dir()))
    link.replace(paths.parsers_dir() / name)
    found = registry.read(name)
    assert found is not None
    return found


def _unpack(packed: bytes, folder: Path) -> None:
    """Write the plain files of an archive. Others are passed over: links, devices, names that lead elsewhere."""
    left, files = _UNPACKED, _FILES
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for member in archive:
            if not member.isfile() or not _NAME.fullmatch(member.name) or ".." in member.name:
                continue
            left, files = left - member.size, files - 1
            if left < 0 or files < 0:
                raise tarfile.TarError("it is too large")
            source = archive.extractfile(member)
            assert source is not None
            path = folder / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read())
