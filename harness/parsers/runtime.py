"""Loads a parser into this process, with or without a fuzzing engine. The order of the steps matters:

- libFuzzer's symbols must be global before an instrumented module is loaded. They come from atheris' own copy: with a
  preload, libFuzzer would not see Python's custom mutator.
- ``atheris.custom_mutator`` must be loaded before libFuzzer's symbols, and only if a mutator will be set: libFuzzer calls
  the hook it finds, and an unset hook is a segmentation fault.
- AddressSanitizer must be first in the process. Its builds need a preload (:func:`environment`) and their own libFuzzer.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import harness
from harness.errors import HarnessError
from harness.parsers import toolchain
from harness.parsers.registry import Parser

_loaded: Parser | None = None
_prepared: bool | None = None


def prepare(*, mutator: bool = False) -> None:
    """Load atheris and its libFuzzer into the global symbol scope, once.

    Raises HarnessError when atheris is not installed, or for a mutator after an engine was set up without one.
    """
    global _prepared
    if _prepared is not None:
        if mutator and not _prepared:
            raise HarnessError("the engine is already set up without a mutator", hint="use a process of its own")
        return
    if importlib.util.find_spec("atheris") is None:
        raise HarnessError("atheris is not installed", hint="pip install safetensors-harness brings it, on Linux")
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
    try:
        importlib.import_module("atheris")
        if mutator:
            importlib.import_module("atheris.custom_mutator")
        if not sanitized():
            importlib.import_module("atheris.core_with_libfuzzer")
    except ImportError as error:
        raise HarnessError(f"atheris cannot be loaded: {error}", hint="harness doctor lists the causes") from error
    finally:
        sys.setdlopenflags(flags)
    _prepared = mutator


def load(parser: Parser, *, mutator: bool = False) -> ModuleType:
    """Import ``safetensors`` of this build and return the package. A process holds one build.

    Raises HarnessError when another safetensors is loaded already, when this interpreter cannot load the build, or for an
    AddressSanitizer build in a process that was not started with :func:`environment`.
    """
    global _loaded
    if reason := parser.why_not_here():
        raise HarnessError(f"parser {parser.name} cannot be loaded: {reason}", hint="build it again: harness build")
    if _loaded is not None and _loaded.root != parser.root:
        hint = "one process per parser"
        raise HarnessError(
            f"parser {_loaded.name} is loaded in this process; {parser.name} cannot be beside it", hint=hint
        )
    if _loaded is None and "safetensors" in sys.modules:
        raise HarnessError("another safetensors is loaded in this process", hint="one process per parser")
    if parser.flavour == "address" and not sanitized():
        hint = "start the process with the environment of harness.parsers.runtime.environment()"
        raise HarnessError(f"parser {parser.name} needs AddressSanitizer preloaded", hint=hint)
    if parser.flavour == "address":
        _hide_preload()
    if parser.flavour in ("sancov", "address"):
        prepare(mutator=mutator)
    if parser.flavour == "coverage":
        # Without a name, the profile goes to the current folder.
        os.environ.setdefault("LLVM_PROFILE_FILE", os.devnull)
    site = str(parser.site)
    if site not in sys.path:
        sys.path.insert(0, site)
        importlib.invalidate_caches()
    try:
        module = importlib.import_module("safetensors")
    except ImportError as error:
        hint = "build it again: harness build --force"
        raise HarnessError(f"parser {parser.name} does not import: {error}", hint=hint) from error
    if not Path(str(module.__file__)).resolve().is_relative_to(parser.root):
        raise HarnessError(f"{module.__file__} was imported, not parser {parser.name}", hint="one process per parser")
    _loaded = parser
    return module


def loaded() -> Parser | None:
    """The build that this process has loaded."""
    return _loaded


def python_path() -> str:
    """``PYTHONPATH`` for a child that imports this harness, from any folder."""
    return os.pathsep.join(filter(None, [str(Path(harness.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))


def internal_libfuzzer(parser: Parser) -> bool:
    """The value of ``atheris.Setup(internal_libfuzzer=...)`` for this build."""
    return parser.flavour != "address"


def environment(parser: Parser, *, mutator: bool = False) -> dict[str, str]:
    """Variables for a Python process that loads this build; empty except for AddressSanitizer.

    Only the Python process may have them: the preload needs Python's symbols, so a shell or a symboliser dies of it.
    """
    if parser.flavour != "address":
        return {}
    spec = importlib.util.find_spec("atheris")
    if spec is None or spec.origin is None:
        raise HarnessError("atheris is not installed", hint="pip install safetensors-harness brings it, on Linux")
    package = Path(spec.origin).parent
    libraries = [package.parent / "asan_with_fuzzer.so"]
    if mutator:
        libraries += sorted(package.glob("custom_mutator.*.so"))
    options = [os.environ.get("ASAN_OPTIONS", ""), "detect_leaks=0", "allocator_may_return_null=1"]
    found = {"LD_PRELOAD": " ".join(map(str, libraries)), "ASAN_OPTIONS": ":".join(filter(None, options))}
    symbolizer = toolchain.symbolizer()
    return found | ({"ASAN_SYMBOLIZER_PATH": str(symbolizer)} if symbolizer else {})


def _hide_preload() -> None:
    """Hide the preload from child processes: a symboliser would die of it.

    The sanitizer starts one with the environment on the stack of this process (``env_start`` in proc(5)), so the variable is
    overwritten there.
    """
    os.environ.pop("LD_PRELOAD", None)
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    place = (b"\0" + ctypes.string_at(start, end - start)).find(b"\0LD_PRELOAD=")
    if start and place >= 0:
        ctypes.memmove(start + place, b"NO_PRELOAD", 10)


def sanitized() -> bool:
    """Whether AddressSanitizer is in this process. It has limits and signal handlers of its own."""
    return hasattr(ctypes.CDLL(None), "__asan_init")
