"""The parsers that have been built, by name."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import paths
from harness.errors import HarnessError
from harness.parsers.toolchain import Compiler

FLAVOURS = ("sancov", "address", "coverage", "wheel")

#: The end of the name of a build to which fixes were applied, before its flavour.
MENDED = "-mended"
#: The builds that ``harness verify`` makes: of a change, a plain one of it, and a plain one of the parser before it.
VERIFIED = ("verify", "verify-wheel", "verify-before")

#: The library of novelty.c in the folder of a build.
NOVELTY = "novelty.so"

_DEFAULT_RELEASE = "0.8.0"

# Names of builds in an error message.
_LISTED = 8


def default_release() -> str:
    """The default release: the newest one this harness was tested with."""
    return _DEFAULT_RELEASE


def default_name(base: str, flavour: str) -> str:
    """The name of a build of ``base`` (a release or a checkout): ``base`` for sancov, else with the flavour appended."""
    return base if flavour == "sancov" else f"{base}-{flavour}"


@dataclasses.dataclass(frozen=True)
class Parser:
    """One build of the code under test.

    ``name`` is a link in ``build/parsers``, swapped by a new build; ``root`` is the folder of this build, links resolved.
    ``flavour`` is one of :data:`FLAVOURS`, ``version`` that of the package. ``manifest`` has versions, flags, compiler, crates,
    ABI, hash and origin of the source, and seconds.
    """

    name: str
    root: Path
    flavour: str
    version: str
    manifest: Mapping[str, Any]

    @property
    def site(self) -> Path:
        """The folder that goes on ``sys.path``."""
        return self.root / "site"

    @property
    def source(self) -> Path:
        """The source it was compiled from; absent for a published wheel."""
        return self.root / "src"

    @property
    def module(self) -> Path:
        """The compiled extension module."""
        return self.site / str(self.manifest["module"])

    @property
    def novelty(self) -> Path:
        """The library of novelty.c, beside an instrumented build."""
        return self.root / NOVELTY

    @property
    def compiler(self) -> Compiler | None:
        """The compiler that made it, from the build's own record; None for a published wheel."""
        try:
            return Compiler(**self.manifest["compiler"])
        except (KeyError, TypeError):
            return None

    @property
    def fixes(self) -> tuple[str, ...]:
        """The defect records whose edits were applied to the source before it was compiled."""
        return tuple(self.manifest.get("fixes", ()))

    @functools.cached_property
    def content(self) -> str:
        """A hash (SHA-256) over what runs of the build: modules, extension, novelty.c's library. Edges are known by it.

        Two machines that compile the same source may get different hashes. Raises HarnessError where a file cannot be read.
        """
        digest = hashlib.sha256(self.flavour.encode())
        try:
            for path in [*sorted(_run_from(self.site)), *([self.novelty] if self.novelty.is_file() else [])]:
                named = path.relative_to(self.root).as_posix()
                digest.update(f"\n{named} {hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
        except OSError as error:
            raise HarnessError(
                f"cannot read {error.filename}: {error.strerror}", hint=build_command(self.name)
            ) from error
        return digest.hexdigest()

    def why_not_here(self) -> str:
        """The reason why this interpreter cannot load the build, as a clause; empty when it can."""
        abi = str(self.manifest["abi"])
        mine = abi_of_this_python()
        return "" if abi in ("abi3", mine) else f"it was built for {abi}, and this Python is {mine}"


def abi_of_this_python() -> str:
    """The tag in the names of version-specific extension modules, such as ``cpython-311-x86_64-linux-gnu``."""
    return str(sysconfig.get_config_var("SOABI"))


def _run_from(site: Path) -> list[Path]:
    """The files of a site folder that run: no records of the installer, which hold paths, and no compiled bytecode."""
    found = (path for path in site.rglob("*") if path.is_file())
    return [path for path in found if not re.search(r"(?:\.dist-info|/__pycache__)/", path.as_posix())]


def read(name: str) -> Parser | None:
    """The build called ``name``, or None when there is none or its manifest cannot be read."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        return None
    return in_folder(name, (paths.parsers_dir() / name).resolve())


def in_folder(name: str, root: Path) -> Parser | None:
    """The build in the folder ``root`` under that name, or None when there is none or its manifest cannot be read."""
    try:
        manifest = json.loads((root / "manifest.json").read_text())
        parser = Parser(name, root, str(manifest["flavour"]), str(manifest["version"]), manifest)
        return parser if parser.module.is_file() and manifest["abi"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def available() -> list[Parser]:
    """All builds by name, also those that this interpreter cannot load (:meth:`Parser.why_not_here`)."""
    folder = paths.parsers_dir()
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    return [parser for name in names if (parser := read(name)) is not None]


def find(name: str | None = None, flavour: str | None = None) -> Parser:
    """The build called ``name``; the default release when None.

    With ``flavour``, the build of that flavour: ``find("0.8.0", "wheel")`` is ``0.8.0-wheel``. Raises HarnessError for a
    missing build, another flavour, or a build that this interpreter cannot load.
    """
    wanted = name or default_release()
    if flavour is not None:
        plain = read(wanted)
        if plain is None or plain.flavour != flavour:
            wanted = default_name(wanted, flavour)
    parser = read(wanted)
    if parser is None:
        raise HarnessError(f"no parser {wanted} has been built (there are: {listed()})", hint=build_command(wanted))
    if flavour is not None and parser.flavour != flavour:
        raise HarnessError(f"parser {wanted} is a {parser.flavour} build, not {flavour}", hint=build_command(wanted))
    if reason := parser.why_not_here():
        hint = f"build it again: {build_command(wanted)}"
        raise HarnessError(f"parser {wanted} cannot be loaded: {reason}", hint=hint)
    return parser


def reopen(name: str, root: str) -> Parser:
    """The build that another process found as ``name`` in the folder ``root``; ``name`` may link to a newer one by now.

    Raises HarnessError when the build was removed.
    """
    parser = in_folder(name, Path(root))
    if parser is None:
        raise HarnessError(f"the build of {name} was removed while it was in use", hint="run the command again")
    return parser


def listed(names: Sequence[str] | None = None) -> str:
    """The names of builds, the first few of many; "none". Default: of all builds."""
    names = [parser.name for parser in available()] if names is None else names
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return (", ".join(names[:_LISTED]) or "none") + more


def build_command(name: str) -> str:
    """The shell command that makes the build ``name``, guessed from its name."""
    base, _, flavour = name.rpartition("-")
    if flavour not in FLAVOURS:
        base, flavour = name, "sancov"
    base, mended = base.removesuffix(MENDED), base.endswith(MENDED)
    what = f"--release {base}" if re.fullmatch(r"\d+(\.\d+)+\w*", base) else "--source DIR"
    option = {"sancov": "", "address": " --sanitizer address", "coverage": " --coverage", "wheel": " --wheel"}[flavour]
    given = f" --name {name}" if what == "--source DIR" else ""
    return f"harness build {what}{' --fixes' if mended else ''}{option}{given}"
