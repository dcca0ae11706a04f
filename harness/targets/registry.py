"""All targets by name: our own, found by folder, and those of installed packages, found by entry point.

A folder below harness/targets holds one subject, whose target stands in ``target.py``. A folder without ``target.py`` holds
several targets, each in a file of its own.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from harness import oracles, targets
from harness.errors import HarnessError
from harness.findings import rule as rules
from harness.observation import REJECT, describe
from harness.oracles.oracle import Execution, Oracle
from harness.targets.base import FILE, INPUT_KINDS, Target

ENTRY_POINTS = "safetensors_harness.targets"


def all_targets() -> dict[str, Target]:
    """The targets that campaigns fuzz, by name: those of files first, then by folder, then those of other packages."""
    found = {name: target for name, target in _own()[0].items() if target.listed}
    for name, target in _of_packages()[0].items():
        found.setdefault(name, target)
    return found


def not_installed() -> dict[str, str]:
    """The targets that lack a module here, with the reason."""
    return {name: reason for name, target in all_targets().items() if (reason := target.missing())}


def broken_targets() -> dict[str, str]:
    """Folders and entry points that hold no usable target, with the reason."""
    return _own()[1] | _of_packages()[1]


def get_target(name: str) -> Target:
    """The target of that name, listed or not. Raises HarnessError naming the known ones, or why it does not load."""
    for place in _likely(name):
        if (found := _in(place).get(name)) is not None:
            return found
    own, broken = _own()
    others, broken_others = _of_packages()
    known = own | others
    if name in known:
        return known[name]
    if name in broken:
        raise HarnessError(f"target {name} does not load: {broken[name]}", hint=f"mend harness/targets/{name}")
    if name in broken_others:
        raise HarnessError(f"target {name} does not load: {broken_others[name]}", hint="mend or uninstall its package")
    names = [one for one, target in known.items() if target.listed]
    raise HarnessError(f"no target is called {name!r}", hint=f"targets: {', '.join(names)}")


# -- our own --------------------------------------------------------------------------------------------------


def _likely(name: str) -> Iterator[str]:
    """Modules where a target of that name stands by convention: importing all of them takes longer."""
    if not name.isidentifier():
        return
    folders = _folders()
    own = [f"{name}.target"] if name in folders else []
    for place in (*own, *(f"{folder}.{name}" for folder in folders)):
        if importlib.util.find_spec(f"{targets.__name__}.{place}"):
            yield f"{targets.__name__}.{place}"


def _folders() -> list[str]:
    names = (info.name for info in pkgutil.iter_modules(targets.__path__) if info.ispkg)
    return sorted(names, key=lambda name: (name != "files", name))


def _own() -> tuple[dict[str, Target], dict[str, str]]:
    """Those of the folders beside this file, and the folders or files that are broken, by name."""
    found: dict[str, Target] = {}
    broken: dict[str, str] = {}
    for folder in _folders():
        for place in _places(folder):
            try:
                found |= _in(place)
            except HarnessError as error:
                broken[folder if place.endswith(".target") else place.rpartition(".")[2]] = str(error)
    return found, broken


def _places(folder: str) -> list[str]:
    """The modules of a folder that may hold targets."""
    package = importlib.import_module(f"{targets.__name__}.{folder}")
    names = [info.name for info in pkgutil.iter_modules(package.__path__)]
    return [f"{package.__name__}.{name}" for name in (["target"] if "target" in names else names)]


def _in(place: str) -> dict[str, Target]:
    """The targets that a module defines. Raises HarnessError with the fault of one that is broken."""
    module = _guarded(lambda: importlib.import_module(place), place)
    return {kind.name: _made(kind, place) for kind in _classes(module)}


def _classes(module: ModuleType) -> list[type[Target]]:
    """The targets that a module defines. A class without a name of its own is a base of others."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Target)
        and value.__module__ == module.__name__
        and "name" in vars(value)
    ]


# -- those of other packages ----------------------------------------------------------------------------------


def _of_packages() -> tuple[dict[str, Target], dict[str, str]]:
    found: dict[str, Target] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=ENTRY_POINTS):
        try:
            target = _made(_guarded(point.load, point.value), point.value)
        except HarnessError as error:
            broken[point.name] = str(error)
            continue
        if target.name in found or any(_in(place) for place in _likely(target.name)):
            broken[f"{point.name} of {point.value}"] = f"its name {target.name!r} is taken by another target"
        else:
            found[target.name] = target
    return found, broken


def _guarded(load: Callable[[], Any], place: str) -> Any:
    """The result of code that may do anything. Raises HarnessError for every exception but a Ctrl-C."""
    try:
        return load()
    except BaseException as error:  # a rule without words, a missing module, an exit
        if isinstance(error, KeyboardInterrupt):
            raise
        words = str(error) if isinstance(error, HarnessError) else describe(error)
        raise HarnessError(f"{place} cannot be imported: {words}") from error


def _made(value: Any, place: str) -> Target:
    """The target of a class, or the object itself. Raises HarnessError with its fault."""
    if isinstance(value, type) and issubclass(value, Target) and inspect.isabstract(value):
        lacking = ", ".join(sorted(value.__abstractmethods__))
        raise HarnessError(f"{place} is no target: it lacks the method {lacking}")
    target = _guarded(value, place) if isinstance(value, type) else value
    if not isinstance(target, Target):
        raise HarnessError(f"{place} is no target: it does not derive from harness.targets.base.Target")
    if problem := _guarded(lambda: check(target), place):
        raise HarnessError(f"{place} is no target: {problem}")
    return target


def check(target: Target) -> str:
    """The fault of a target that can be seen before it runs, as a clause; "" for none.

    Each of its oracles judges a refused run of no bytes: one that raises on that raises on every run.
    """
    for field, words in (("name", target.name), ("description", target.description)):
        if not isinstance(words, str) or not words.strip():
            return f"it has no {field}"
    if target.input_kind not in INPUT_KINDS:
        return f"its input_kind {target.input_kind!r} is none of {', '.join(INPUT_KINDS)}"
    if target.input_kind != FILE and target.uses_parser and not target.oracles:
        return "its inputs are no files, and it lists no oracle"
    if not isinstance(target.oracles, tuple):
        return "its oracles are no tuple: (check,) has a comma"
    for one in target.oracles:
        if not isinstance(one, Oracle):
            return (
                f"its oracle {getattr(one, '__name__', one)!r} declares no rules: decorate it with @oracle(RULE, ...)"
            )
        try:
            one(Execution(b"", (REJECT, "", None), target=target))
        except Exception as error:
            return f"its oracle {one.name} raises {describe(error)}"
    return ""


@functools.cache
def _load_rules() -> None:
    """Load every oracle, and so define every rule."""
    for info in pkgutil.iter_modules(oracles.__path__):
        importlib.import_module(f"{oracles.__name__}.{info.name}")
    _own()
    _of_packages()


rules.load_with(_load_rules)
