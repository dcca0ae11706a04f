"""Builds the code under test, with a cache. A failed or killed build leaves the last good one in place.

Below ``build/parsers``, ``.builds/<key>-<python>`` holds each build (``site``, ``src``, ``manifest.json``). A name is a link
to a build, swapped when a build succeeds. The key is a hash of source, flags and compiler. ``build/cache`` holds downloaded
sdists, cargo's target folders and logs; all are safe to delete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import paths
from harness.errors import HarnessError
from harness.files import alone, write_atomic
from harness.parsers import compilation, fixes, registry, sources, toolchain
from harness.parsers.crate_api import extension
from harness.parsers.fixes import Change
from harness.parsers.flavours import OWN_CRATES, RECIPES
from harness.parsers.registry import Parser

# Raise it when the content of a build changes, so that older builds are not used.
_FORMAT = 2

# Builds without a name that are kept: a campaign may still start processes from them.
_UNNAMED_KEPT = 4

Progress = Callable[[str], None]


def build(
    release: str | None = None,
    source: Path | None = None,
    flavour: str = "sancov",
    *,
    mend: Sequence[Change] = (),
    name: str | None = None,
    progress: Progress = print,
    force: bool = False,
    crate_api: bool = True,
) -> Parser:
    """Build one parser, unless it is built, and give it its name.

    ``release`` is a version in the package index, ``source`` a checkout or an unpacked sdist; neither means the default
    release. ``flavour`` is one of :data:`harness.parsers.registry.FLAVOURS`. ``wheel`` of a release is the file that users
    install, or a plain optimised build if there is none for this interpreter. ``mend`` are records whose edits are applied to
    the source first. ``name`` defaults to the release, or ``checkout``, then ``-mended``, then the flavour unless it is sancov.
    ``progress`` gets lines. ``force`` builds again. Without ``crate_api`` no extension for the Rust API is added: the target
    ``crate`` alone needs it, and it takes a third of the time.

    Raises HarnessError with the compiler's error when the build fails; the name then keeps its earlier build.
    """
    if release is not None and source is not None:
        raise HarnessError("a release and a source were given", hint="use --release or --source")
    if flavour not in RECIPES:
        raise HarnessError(f"there is no flavour {flavour}", hint=f"one of {', '.join(RECIPES)}")
    job = _plan(release, source, flavour, mend)
    base = release or ("checkout" if source else registry.default_release())
    name = name or registry.default_name(base + registry.MENDED if mend else base, flavour)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise HarnessError(f"{name!r} is no name for a parser", hint="letters, digits and . _ + - only")
    link = paths.parsers_dir() / name
    if link.exists() and not link.is_symlink():
        raise HarnessError(f"{link} is in the way and was not made by harness build", hint="move it away")
    present = None if force else _present(job.key)
    if present is None:
        with _lock(progress):
            # The process that held the lock may have built it.
            present = None if force else _present(job.key)
            if present is None:
                present = _make(job, progress)
    _link(name, present)
    parser = registry.read(name)
    if parser is None:
        raise HarnessError(f"the build of {name} is damaged", hint=f"delete {paths.parsers_dir()} and build again")
    if crate_api and (force or not extension.there(parser)):
        with _lock(progress):
            if force or not extension.there(parser):
                extension.add(parser, progress)
    return parser


@dataclasses.dataclass(frozen=True)
class _Job:
    """One build to make."""

    key: str
    flavour: str
    release: str | None
    checkout: sources.Checkout | None
    source_hash: str
    compiler: toolchain.Compiler | None
    mend: Sequence[Change]

    @property
    def published(self) -> bool:
        """Whether it is the file that users install."""
        return self.flavour == "wheel" and self.checkout is None and not self.mend


def _plan(release: str | None, source: Path | None, flavour: str, mend: Sequence[Change]) -> _Job:
    checkout = sources.locate(source) if source is not None else None
    if checkout is None:
        release = release or registry.default_release()
        if not re.fullmatch(r"\d[\w.+!-]*", release):
            raise HarnessError(
                f"{release!r} is no version", hint="name a release like 0.8.0, or a folder with --source"
            )
    # A published file never changes, so the version identifies its content.
    identity = sources.tree_hash(checkout) if checkout else f"release {release}"
    compiler = None
    if checkout is not None or mend or flavour != "wheel":
        toolchain.cargo()
        compiler = toolchain.compiler()
    recipe = RECIPES[flavour]
    ingredients = [_FORMAT, identity, flavour, dataclasses.asdict(recipe), compiler and dataclasses.asdict(compiler)]
    if mend:
        ingredients.append(fixes.ingredients(mend))
    key = hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()[:16]
    return _Job(key, flavour, release, checkout, identity, compiler, mend)


def _builds() -> Path:
    return paths.parsers_dir() / ".builds"


def _present(key: str) -> Path | None:
    """The build with this key that this interpreter can load."""
    for folder in sorted(_builds().glob(f"{key}-*")):
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            loadable = manifest["abi"] in ("abi3", registry.abi_of_this_python())
            if loadable and (folder / "site" / manifest["module"]).is_file():
                return folder
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


@contextlib.contextmanager
def _lock(progress: Progress) -> Iterator[None]:
    """One build at a time in this project."""
    cache = paths.build_dir() / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    _builds().mkdir(parents=True, exist_ok=True)
    with alone(cache / "lock", lambda: progress("waiting for another build")):
        yield


def _make(job: _Job, progress: Progress) -> Path:
    """Build into a working folder, then move it to its place."""
    started = time.monotonic()
    cache = paths.build_dir() / "cache"
    work = cache / "work"
    shutil.rmtree(work, ignore_errors=True)
    (work / "out").mkdir(parents=True)
    (cache / "logs").mkdir(exist_ok=True)
    final = _builds() / f"{job.key}-{sys.implementation.cache_tag}"
    log = cache / "logs" / f"{job.release or 'checkout'}-{job.flavour}.log"
    try:
        manifest: dict[str, Any] = {"flavour": job.flavour, "format": _FORMAT, "key": job.key}
        if job.published and compilation.install_wheel(str(job.release), work / "out" / "site", progress, log):
            manifest["origin"] = f"wheel of release {job.release}"
        else:
            manifest |= _compile(job, work, final, progress, log)
        manifest |= _described(work / "out", job)
        manifest["seconds"] = round(time.monotonic() - started, 1)
        write_atomic(work / "out" / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        shutil.rmtree(final, ignore_errors=True)
        os.rename(work / "out", final)
        return final
    except OSError as error:
        raise HarnessError(f"the build could not be written: {error}", hint="check the disk: harness doctor") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _compile(job: _Job, work: Path, final: Path, progress: Progress, log: Path) -> dict[str, Any]:
    cache = paths.build_dir() / "cache"
    compiler = job.compiler or toolchain.compiler()
    recipe = RECIPES[job.flavour]
    tree = work / "out" / "src"
    manifest: dict[str, Any] = {}
    if job.checkout is None:
        sdist = sources.download(str(job.release), cache / "sdists", compilation.environment(), log, progress)
        sources.unpack(sdist, tree)
        project = Path()
        manifest["origin"] = f"sdist of release {job.release}"
        manifest["sdist_sha256"] = hashlib.sha256(sdist.read_bytes()).hexdigest()
    else:
        sources.copy_tree(job.checkout, tree)
        project = job.checkout.project
        manifest["origin"] = f"checkout {job.checkout.root}"
    if job.mend:
        fixes.apply(tree, job.mend)
        manifest["fixes"] = sorted(fix.name for fix in job.mend)
    compilation.compile_project(
        tree / project,
        work / "out" / "site",
        compilation.cargo_folder(recipe, compiler),
        work=work,
        # Panic messages name source files: without this folder they are equal on every machine. llvm-cov needs it.
        remap=f"{tree}={final / 'src'}" if job.flavour == "coverage" else f"{tree}=",
        recipe=recipe,
        compiler=compiler,
        progress=progress,
        log=log,
    )
    if job.flavour == "sancov":
        compilation.compile_novelty(work / "out" / registry.NOVELTY)
    manifest |= {
        "compiler": dataclasses.asdict(compiler),
        "flags": {"own": list(recipe.own), "every": list(recipe.every), "own_crates": list(OWN_CRATES)},
        "fixed_hash_keys": recipe.fixed_hash_keys,
        "crates": compilation.resolved_crates(tree),
    }
    return manifest


def _described(out: Path, job: _Job) -> dict[str, Any]:
    """The part of the manifest that comes from the installed package."""
    modules = sorted(out.glob("site/**/*safetensors_rust*.so"))
    metadata = sorted(out.glob("site/safetensors-*.dist-info"))
    if not modules or not metadata:
        raise HarnessError(
            "the build holds no compiled safetensors module", hint="check that --source is the parser's source"
        )
    module = modules[0]
    tag = module.name.split(".")[1]
    return {
        "abi": "abi3" if tag == "abi3" else tag,
        "built": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "harness": importlib.metadata.version("safetensors-harness"),
        "module": module.relative_to(out / "site").as_posix(),
        "module_sha256": hashlib.sha256(module.read_bytes()).hexdigest(),
        "python": platform.python_version(),
        "source_hash": job.source_hash,
        "version": importlib.metadata.Distribution.at(metadata[0]).version,
    }


def _link(name: str, build_folder: Path) -> None:
    """Let ``name`` point to the build, in one step."""
    link = paths.parsers_dir() / name
    target = os.path.relpath(build_folder, link.parent)
    if link.is_symlink() and os.readlink(link) == target:
        return
    # A folder of its own: threads of one process link at the same time, too.
    with tempfile.TemporaryDirectory(prefix=".link-", dir=link.parent) as folder:
        temporary = Path(folder, name)
        temporary.symlink_to(target)
        os.replace(temporary, link)
    _prune()


def _prune() -> None:
    """Remove the oldest of the builds without a name."""
    named = {link.resolve().name for link in paths.parsers_dir().iterdir() if link.is_symlink()}
    unnamed = [folder for folder in _builds().iterdir() if folder.name not in named]
    unnamed.sort(key=_changed, reverse=True)
    for folder in unnamed[_UNNAMED_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


def _changed(folder: Path) -> float:
    """When it changed last; 0 where another thread or process has removed it."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
