"""The extension for the Rust API of a build: compiled beside the parser, from its source and with its flags.

It lies in the folder of the build as ``crate-api-KEY.so``; KEY is a hash of our source and of the flags. The JSON file beside
it says by which compiler it was made, and which parts of the API the release lacks. Where there is no extension, it has the
compiler's error.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from harness import paths
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.parsers import compilation, sources, toolchain
from harness.parsers.flavours import OWN_CRATES, PLAIN_PROFILE, RECIPES, Recipe
from harness.parsers.registry import Parser

#: Our crate: its manifest, and its Rust files.
SOURCE = Path(__file__).with_name("ext")
NAME = "safetensors_crate_api"

#: Parts of the API by the Cargo feature of our crate: what the crate's source holds where it has the part, and its name.
PARTS: dict[str, tuple[str, str]] = {
    "bitsize": (r"pub fn bitsize\b", "Dtype::bitsize"),
    "byte_ranges": (r"pub fn slice_byte_ranges\b", "slice_byte_ranges"),
    "data_len": (r"pub fn data_len\b", "Metadata::data_len"),
    "dtype_display": (r"Display for Dtype\b", "Display of Dtype"),
    "indexer_display": (r"Display for TensorIndexer\b", "Display of TensorIndexer"),
    "info": (r"pub fn info\b", "Metadata::info"),
    "invalid_slice_display": (r"Display for InvalidSlice\b", "Display of InvalidSlice"),
    "iter": (r"pub fn iter\b", "SafeTensors::iter"),
    # The other public `new` is that of TensorView.
    "metadata_new": (r"(?s)pub fn new\(.*pub fn new\(", "Metadata::new"),
    "offset_keys": (r"pub fn offset_keys\b", "Metadata::offset_keys"),
    "owned_info": (r"data_info: Option<", ""),
    "step": (r"Narrow\(Bound<usize>, Bound<usize>, NonZeroUsize\)", "TensorIndexer::Narrow(step)"),
}


@dataclasses.dataclass(frozen=True)
class Extension:
    """A compiled extension at ``path``, and the names of the parts that the release ``lacks``."""

    path: Path
    lacks: tuple[str, ...]


def find(parser: Parser) -> Extension:
    """The extension of a build. Raises HarnessError where there is none, with the compiler's error if it has one."""
    path = place(parser)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        about = json.loads(path.with_suffix(".json").read_text())
        if about["error"]:
            hint = "harness build --force tries again"
            raise HarnessError(f"parser {parser.name} has no Rust API: {about['error']}", hint=hint)
        if path.is_file():
            return Extension(path, tuple(about["lacks"]))
    raise HarnessError(
        f"parser {parser.name} was built without the extension for the Rust API",
        hint="harness build adds it, where cargo is installed",
    )


def usable(parser: Parser) -> bool:
    """Whether the build has its extension."""
    try:
        find(parser)
    except HarnessError:
        return False
    return True


def there(parser: Parser) -> bool:
    """Whether the build has its extension, or is known to have none, by its own compiler: a wheel's is the present one."""
    try:
        made_by = json.loads(place(parser).with_suffix(".json").read_text())["compiler"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    wanted = parser.compiler or toolchain.compiler_or_none()
    return wanted is None or bool(made_by == dataclasses.asdict(wanted))


def place(parser: Parser) -> Path:
    """The path of its extension."""
    return parser.root / f"crate-api-{_key(parser.flavour)}.so"


@functools.cache
def _key(flavour: str) -> str:
    digest = hashlib.sha256(repr(RECIPES[flavour]).encode())
    for path in sorted(SOURCE.rglob("*.*")):
        digest.update(f"{path.name}\0{path.read_text()}\0".encode())
    return digest.hexdigest()[:12]


def add(parser: Parser, progress: Callable[[str], None]) -> None:
    """Compile the extension of a build. The caller holds the lock of builds.

    A release or checkout whose API our crate does not fit keeps the compiler's error instead. Without cargo nothing is done.
    """
    try:
        toolchain.cargo()
        compiler = toolchain.compiler()
    except HarnessError:
        return
    cache = paths.build_dir() / "cache"
    work = cache / "work"
    log = cache / "logs" / f"crate-api-{parser.flavour}.log"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    log.parent.mkdir(exist_ok=True)
    progress("compiling the extension for the Rust API")
    try:
        tree = _tree(parser, work, log, progress)
        crate = prepare(work / "crate_api", tree)
        made = _compile(parser.flavour, tree, crate, work, compiler, progress, log)
        shutil.copyfile(made, work / "made.so")
        os.replace(work / "made.so", place(parser))
        describe(parser, compiler, lacks=lacking(crate.features))
    except HarnessError as error:
        describe(parser, compiler, error=str(error))
        progress(f"no extension for the Rust API: {str(error).splitlines()[0]}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def describe(parser: Parser, compiler: toolchain.Compiler, *, lacks: Iterable[str] = (), error: str = "") -> None:
    """Write the JSON file beside the extension."""
    about = {"lacks": list(lacks), "error": error, "compiler": dataclasses.asdict(compiler)}
    write_atomic(place(parser).with_suffix(".json"), json.dumps(about))


@dataclasses.dataclass(frozen=True)
class Crate:
    """Our crate in ``folder``, set up to be compiled against a source. ``features`` are those of :data:`PARTS` it has."""

    folder: Path
    features: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        """The arguments of ``cargo build``."""
        return ["--release", "--manifest-path", str(self.folder / "Cargo.toml"), "--features", ",".join(self.features)]


def prepare(folder: Path, tree: Path) -> Crate:
    """Copy our crate to ``folder``, to compile it against the crate in ``tree``. Raises HarnessError where there is none."""
    crate = _crate(tree)
    shutil.copytree(SOURCE, folder)
    manifest = folder / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('"SOURCE"', json.dumps(str(crate))))
    if (lock := compilation.lock_of(tree)) is not None:
        shutil.copyfile(lock, folder / "Cargo.lock")
    return Crate(folder, tuple(present(_text(crate))))


def present(text: str) -> list[str]:
    """The features of :data:`PARTS` that a crate has whose ``tensor.rs`` and ``slice.rs`` are ``text``."""
    return [name for name, (pattern, _) in PARTS.items() if re.search(pattern, text)]


def lacking(features: Iterable[str]) -> list[str]:
    """The names of the parts that are not among the ``features``."""
    return sorted(word for name, (_, word) in PARTS.items() if word and name not in features)


def _tree(parser: Parser, work: Path, log: Path, progress: Callable[[str], None]) -> Path:
    """The source of the build; that of its release where it is a published wheel."""
    if parser.source.is_dir():
        return parser.source
    cache = paths.build_dir() / "cache"
    sdist = sources.download(parser.version, cache / "sdists", compilation.environment(), log, progress)
    sources.unpack(sdist, work / "src")
    return work / "src"


def _crate(tree: Path) -> Path:
    """The folder of the crate ``safetensors`` in a source tree. Raises HarnessError where there is none."""
    for manifest in sorted(tree.rglob("Cargo.toml")):
        if re.search(rf'^name = "{sources.PACKAGE}"$', manifest.read_text(errors="replace"), re.MULTILINE):
            return manifest.parent
    raise HarnessError(
        "the source holds no crate called safetensors", hint="check that --source is the parser's source"
    )


def _text(crate: Path) -> str:
    return "\n".join((crate / "src" / name).read_text(errors="replace") for name in ("tensor.rs", "slice.rs"))


def _compile(
    flavour: str, tree: Path, crate: Crate, work: Path, compiler: toolchain.Compiler, progress: Callable[[str], None], log: Path
) -> Path:  # fmt: skip
    """Compile our crate; the path of the module. Raises HarnessError with the compiler's error."""
    # Equal profiles share their dependencies; a plain build needs no other than the instrumented one.
    recipe: Recipe = dataclasses.replace(RECIPES[flavour], environment=RECIPES[flavour].environment or PLAIN_PROFILE)
    target = compilation.cargo_folder(recipe, compiler)
    remap = [f"{crate.folder}=crate_api"]
    if flavour != "coverage":
        remap.append(f"{tree}=")
    variables = compilation.cargo_variables(
        target, work=work, remap=remap, recipe=recipe, compiler=compiler, own_crates=(*OWN_CRATES, NAME)
    )
    try:
        if compilation.run(["cargo", "build", *crate.arguments], variables, log, progress) != 0:
            raise HarnessError(
                f"our crate does not fit it:\n{compilation.errors_in(log.read_text(errors='replace'), 8)}"
            )
        found = target / compiler.host / "release" / f"lib{NAME}.so"
        shutil.move(found, work / "built.so")
        return work / "built.so"
    finally:
        compilation.forget_own_crates(target)
