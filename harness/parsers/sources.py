"""Sources of the code under test: a release in the package index, or a checkout."""

from __future__ import annotations

import dataclasses
import difflib
import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from harness.errors import HarnessError

PACKAGE = "safetensors"

#: The folder of the Python project in a checkout. An sdist has its Python files at the top.
BINDINGS = PurePosixPath("bindings/python")
_PYTHON = "py_src/"

# Folders of a checkout that hold no source.
_SKIPPED = {"target", "build", "dist", "node_modules", "__pycache__"}


@dataclasses.dataclass(frozen=True)
class Checkout:
    """The parser's source: ``root`` is copied and hashed, ``project`` below it is the folder with pyproject.toml."""

    root: Path
    project: Path


def locate(folder: Path) -> Checkout:
    """The parser in ``folder``: an unpacked sdist, a checkout of the repository, or its bindings/python.

    Raises HarnessError where there is none.
    """
    if not folder.is_dir():
        fault = "is not a folder" if folder.exists() else "does not exist"
        raise HarnessError(f"{folder} {fault}", hint="--source takes a checkout of the safetensors repository")
    given, folder = folder, folder.resolve()
    beside = folder.parent.parent
    if folder == beside / BINDINGS and (beside / "safetensors/Cargo.toml").is_file():
        return Checkout(beside, Path(BINDINGS))
    for project in (Path(), Path(BINDINGS)):
        if (folder / project / "pyproject.toml").is_file() and _names_the_package(folder / project):
            return Checkout(folder, project)
    raise HarnessError(
        f"{given} holds no Python project called {PACKAGE}",
        hint="--source takes the root of a safetensors checkout, its bindings/python, or an unpacked sdist",
    )


def _names_the_package(project: Path) -> bool:
    # Releases before 0.4 state the name in setup.py.
    files = [project / name for name in ("pyproject.toml", "setup.py") if (project / name).is_file()]
    pattern = rf"""name\s*=\s*["']{PACKAGE}["']"""
    return any(re.search(pattern, file.read_text(errors="replace")) for file in files)


def in_repository(file: str) -> str:
    """The path in upstream's repository of a file of the sdist."""
    return f"{BINDINGS}/{file}" if file.startswith(_PYTHON) else file


def in_sdist(file: str) -> str:
    """The path in the sdist of a file of the repository, or of the sdist."""
    return file.removeprefix(f"{BINDINGS}/") if _PYTHON in file else file


def find(tree: Path, file: str) -> Path | None:
    """The ``file`` of the sdist in an sdist or a checkout; None where it is not there, or lies outside of ``tree``."""
    parts = PurePosixPath(file)
    for path in (tree / parts, tree / BINDINGS / parts):
        if ".." not in parts.parts and path.is_file() and path.resolve().is_relative_to(tree.resolve()):
            return path
    return None


def files(root: Path) -> Iterator[Path]:
    """The source files below ``root``, without hidden folders and those of builds."""
    for folder, folders, names in os.walk(root):
        kept = (f for f in folders if f not in _SKIPPED and not f.startswith(".") and not f.endswith(".egg-info"))
        folders[:] = sorted(kept)
        for name in sorted(names):
            path = Path(folder) / name
            # Compiled modules of an editable build, sockets and the like are no source.
            if path.is_file() and path.suffix not in (".so", ".pyc", ".pyd"):
                yield path


def tree_hash(checkout: Checkout) -> str:
    """SHA-256 over the names and contents of the checkout's source files, in hex."""
    digest = hashlib.sha256()
    for path in files(checkout.root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(checkout.root).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def copy_tree(checkout: Checkout, to: Path) -> None:
    """Copy the source files below ``to``, with new times: cargo then compiles them."""
    for path in files(checkout.root):
        target = to / path.relative_to(checkout.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def download(
    release: str, folder: Path, environment: dict[str, str], log: Path, progress: Callable[[str], None]
) -> Path:
    """Fetch the sdist of ``release`` into ``folder`` through pip, unless it is there, and return its path.

    pip checks the index's hash. Raises HarnessError for an unknown release (with the nearest), for a release without sdist,
    and when the index cannot be reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    present = sorted(folder.glob(f"{PACKAGE}-{release}.tar.gz"))
    if present:
        return present[0]
    progress(f"fetching the source of release {release}")
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", PACKAGE, "--no-build-isolation"]
    command += ["--dest", str(partial), f"{PACKAGE}=={release}"]
    try:
        with log.open("wb") as handle:
            status = subprocess.run(command, env=environment, stdout=handle, stderr=handle, check=False).returncode
        found = sorted(partial.glob("*.tar.gz"))
        if status != 0 or not found:
            raise missing(release, environment, log)
        target = folder / f"{PACKAGE}-{release}.tar.gz"
        os.replace(found[0], target)
        return target
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def unpack(sdist: Path, to: Path) -> None:
    """Unpack an sdist whose top folder becomes ``to``. Raises HarnessError when it is damaged."""
    try:
        with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=to.parent) as scratch:
            with tarfile.open(sdist) as archive:
                archive.extractall(scratch, filter="data")
            (top,) = Path(scratch).iterdir()
            copy_tree(Checkout(top, Path()), to)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        hint = f"free some disk in {to.parent}" if full else "delete it; it will be fetched again"
        raise HarnessError(f"{sdist} cannot be unpacked: {error}", hint=hint) from error


def missing(release: str, environment: dict[str, str], log: Path) -> HarnessError:
    """The error for a ``release`` that pip did not deliver, with the releases of the index."""
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
    known = released(environment)
    if not known:
        hint = "see pip's message above; PIP_INDEX_URL names another index"
        return HarnessError(f"the package index cannot be reached:\n{tail}", hint=hint)
    if release not in known:
        near = difflib.get_close_matches(release, known, n=5, cutoff=0.3) or known[:5]
        return HarnessError(
            f"there is no release {release} of {PACKAGE}; near it: {', '.join(near)}",
            hint=f"harness build --release {near[0]}; the newest is {known[0]}",
        )
    return HarnessError(f"pip could not fetch release {release}:\n{tail}", hint=f"the whole log: {log}")


def released(environment: dict[str, str]) -> list[str]:
    """All releases in the index, newest first; empty when it cannot be reached."""
    command = [sys.executable, "-m", "pip", "index", "versions", PACKAGE]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    match = re.search(r"^Available versions: (.+)$", answer, re.MULTILINE)
    return [version.strip() for version in match[1].split(",")] if match else []
