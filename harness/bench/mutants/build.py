"""Builds mutants one after the other in one folder, by incremental compilation: about a second each.

The flags differ from those of ``harness build``: less optimisation, and no counters. Checks of overflow and debug assertions
are on, as there.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import paths
from harness.bench.mutants.mutant import Mutant
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.parsers import compilation, registry, sources, toolchain
from harness.parsers.crate_api import extension
from harness.parsers.flavours import OWN_CRATES, PLAIN_PROFILE, Recipe
from harness.parsers.registry import Parser

#: Names of the builds, by slot.
NAME = "mutant-{}"
#: Seconds for the compilation of a mutant: it takes one, and a change may keep the compiler busy for ever.
PATIENCE_S = 600.0
#: Seconds for that of the parser without a mutant, with all its dependencies.
FIRST_PATIENCE_S = 3600.0

_RECIPE = Recipe(
    own=("-Cdebug-assertions", "-Coverflow-checks", "-Copt-level=1"),
    every=(),
    environment=(*PLAIN_PROFILE, ("CARGO_INCREMENTAL", "1")),
    fixed_hash_keys=True,
)


def folder() -> Path:
    """The folder of all results and slots."""
    return paths.build_dir() / "bench" / "mutants"


class UnviableError(Exception):
    """The change does not compile."""


class IdenticalError(Exception):
    """The change compiles to the very libraries of the parser without it: trivial compiler equivalence (Papadakis et al., ICSE 2015)."""


class Slot:
    """A folder in which one mutant at a time is built, from the source of ``base``. Two slots work side by side."""

    def __init__(self, number: int, base: Parser) -> None:
        self.number = number
        self._name = NAME.format(number)
        #: All that it holds; the source with the mutant is part of it.
        self.folder = folder() / f"slot-{number}"
        self._target = paths.build_dir() / "cache" / "target" / f"mutants-{number}"
        self.source = self.folder / "src"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        # New times: by old ones, cargo would take the build of the last mutant here for that of this source.
        shutil.copytree(base.source, self.source, copy_function=shutil.copy)
        shutil.copytree(base.site, self.folder / "site", ignore=shutil.ignore_patterns("__pycache__"))
        # A build with changes is no release: no finding is tried on it.
        write_atomic(self.folder / "manifest.json", json.dumps({**base.manifest, "fixes": ["mutant"]}))
        link = paths.parsers_dir() / self._name
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(self.folder, link.parent))
        parser = registry.read(self._name)
        assert parser is not None
        #: The build, whatever mutant is in it.
        self.parser = parser
        self._crate_api = extension.prepare(self.folder / "crate-api", self.source)
        self._extension = extension.place(parser)
        work = self.folder / "work"
        work.mkdir()
        compiler = toolchain.compiler()
        self._compiled = self._target / compiler.host / "release"
        self._environment = compilation.cargo_variables(
            self._target,
            work=work,
            remap=[f"{self.source}=", f"{self._crate_api.folder}=crate_api"],
            recipe=_RECIPE,
            compiler=compiler,
            own_crates=(*OWN_CRATES, extension.NAME),
        ) | {"PYO3_BUILD_EXTENSION_MODULE": "1", "PYO3_PYTHON": sys.executable}
        # Nothing is compiled before a mutant needs it.
        if extension.usable(base):
            shutil.copyfile(extension.place(base), self._extension)
        extension.describe(parser, compiler, lacks=extension.lacking(self._crate_api.features))
        self._libraries = (parser.module, self._extension)
        self._pristine = self.folder / "pristine"

    def compile_unchanged(self) -> None:
        """Compile the source without a mutant. Raises HarnessError where it does not compile."""
        try:
            self._compile(crate=True, patience=FIRST_PATIENCE_S)
        except UnviableError as error:
            raise HarnessError(f"the unchanged source does not compile:\n{error}", hint="harness doctor") from error
        self._pristine.mkdir()
        for place in self._libraries:
            shutil.copyfile(place, self._pristine / place.name)

    @contextmanager
    def build(self, mutant: Mutant) -> Iterator[Parser]:
        """The parser with ``mutant``, until the context ends.

        Raises UnviableError with the compiler's first error, and IdenticalError where the compiler sees no difference.
        """
        path = self.source / mutant.file
        before = path.read_text(encoding="utf-8")
        after = mutant.applied(before)
        if not mutant.python and not self._pristine.is_dir():
            self.compile_unchanged()
        if self._pristine.is_dir():
            for place in self._libraries:
                _replace(self._pristine / place.name, place)
        try:
            path.write_text(after, encoding="utf-8")
            if mutant.python:
                self._put_module(mutant, path)
            else:
                self._compile(crate=mutant.of_crate)
                if all(place.read_bytes() == (self._pristine / place.name).read_bytes() for place in self._libraries):
                    raise IdenticalError
            yield self.parser
        finally:
            path.write_text(before, encoding="utf-8")
            if mutant.python:
                _replace(path, self._module(mutant))

    def _module(self, mutant: Mutant) -> Path:
        return self.parser.site / "safetensors" / Path(mutant.file).name

    def _put_module(self, mutant: Mutant, path: Path) -> None:
        try:
            # A mutant may be one that Python warns of.
            with warnings.catch_warnings(action="ignore"):
                compile(path.read_text(encoding="utf-8"), mutant.file, "exec")
        except (SyntaxError, ValueError) as error:
            raise UnviableError(f"SyntaxError: {error}") from error
        _replace(path, self._module(mutant))
        # A cached module is taken for that of a file with equal size and second.
        shutil.rmtree(self._module(mutant).parent / "__pycache__", ignore_errors=True)

    def _compile(self, *, crate: bool, patience: float = PATIENCE_S) -> None:
        self._cargo(
            patience, "--release", "--lib", "--manifest-path", str(self.source / sources.BINDINGS / "Cargo.toml")
        )
        _replace(self._compiled / "libsafetensors_rust.so", self.parser.module)
        if crate:
            self._cargo(patience, *self._crate_api.arguments)
            _replace(self._compiled / f"lib{extension.NAME}.so", self._extension)

    def _cargo(self, patience: float, *arguments: str) -> None:
        command = [str(toolchain.cargo()), "build", "--quiet", *arguments]
        with subprocess.Popen(
            command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, errors="replace", start_new_session=True,
        ) as cargo:  # fmt: skip
            try:
                _, said = cargo.communicate(timeout=patience)
            except BaseException as error:
                # Compilers are in its session, and would go on.
                os.killpg(cargo.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise UnviableError(f"cargo did not end within {patience:.0f} s") from error
                raise
        if cargo.returncode:
            raise UnviableError(compilation.errors_in(said, 3) or f"cargo ended with {cargo.returncode}")


def _replace(source: Path, place: Path) -> None:
    """Put a copy of ``source`` in ``place``, as a new file: a process may still have the old one mapped."""
    fresh = place.with_name(f".{place.name}.new")
    shutil.copyfile(source, fresh)
    os.replace(fresh, place)
