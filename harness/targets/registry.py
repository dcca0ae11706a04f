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
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from harness import oracles, targets
from harness.errors import HarnessError
from harness.findings import rule as rules
from harness.observation import REJECT, describe
from harness.oracles.oracle import Execution, Oracle
from harness.targets.base import FILE, INPUT_KINDS, Target

ENTRY_POINTS = "safetensors_harness.targets"


def all_targets() -> dict[str, Target]:
    """The targets that campaigns fuzz, by name: those of files first, then by folder, then those of other packages."""
    found = {name: target for name, target in _own().items() if target.listed}
    for name, target in _of_packages()[0].items():
        found.setdefault(name, target)
    return found


def broken_targets() -> dict[str, str]:
    """Entry points of other packages that are no usable target, with the reason."""
    return _of_packages()[1]


def get_target(name: str) -> Target:
    """The target of that name, listed or not. Raises HarnessError naming the known ones, or why it does not load."""
    for place in _likely(name):
        if (found := _in(place).get(name)) is not None:
            return found
    own = _own()
    if name in own:
        return own[name]
    others, broken = _of_packages()
    if name in broken:
        raise HarnessError(f"target {name} does not load: {broken[name]}", hint="mend or uninstall its package")
    if name not in others:
        known = [one for one, target in (own | others).items() if target.listed]
        raise HarnessError(f"no target is called {name!r}", hint=f"targets: {', '.join(known)}")
    return others[name]


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


def _own() -> dict[str, Target]:
    return {name: target for folder in _folders() for place in _places(folder) for name, target in _in(place).items()}


def _places(folder: str) -> list[str]:
    """The modules of a folder that may hold targets."""
    package = importlib.import_module(f"{targets.__name__}.{folder}")
    names = [info.name for info in pkgutil.iter_modules(package.__path__)]
    return [f"{package.__name__}.{name}" for name in (["target"] if "target" in names else names)]


def _in(place: str) -> dict[str, Target]:
    return {kind.name: kind() for kind in _classes(importlib.import_module(place))}


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
            target = _loaded(point)
        except HarnessError as error:
            broken[point.name] = f"{point.value} {error}"
        else:
            found.setdefault(target.name, target)
    return found, broken


def _loaded(point: EntryPoint) -> Target:
    """The target of an entry point, which names a class or an object. Raises HarnessError saying what is wrong with it."""
    try:
        value = point.load()
        if isinstance(value, type) and issubclass(value, Target) and inspect.isabstract(value):
            lacking = ", ".join(sorted(value.__abstractmethods__))
            raise HarnessError(f"is no target: it lacks the method {lacking}")
        target = value() if isinstance(value, type) else value
    except HarnessError as error:
        if type(error) is HarnessError:
            raise
        raise HarnessError(f"cannot be imported: {error}") from error
    except BaseException as error:  # whatever another package's module does when it is imported
        if isinstance(error, KeyboardInterrupt):
            raise
        raise HarnessError(f"cannot be imported: {describe(error)}") from error
    if not isinstance(target, Target):
        raise HarnessError("is no target: it does not derive from harness.targets.base.Target")
    if problem := check(target):
        raise HarnessError(f"is no target: {problem}")
    return target


def check(target: Target) -> str:
    """What is wrong with a target before it has run, as a clause; "" when nothing is.

    Each of its oracles judges a refused run of no bytes: one that raises on that raises on every run.
    """
    for field, words in (("name", target.name), ("description", target.description)):
        if not isinstance(words, str) or not words.strip():
            return f"it has no {field}"
    if target.input_kind not in INPUT_KINDS:
        return f"its input_kind {target.input_kind!r} is none of {', '.join(INPUT_KINDS)}"
    if target.input_kind != FILE and target.uses_parser and not target.oracles:
        return "its inputs are no files, and it lists no oracle"
    for one in target.oracles:
        if not isinstance(one, Oracle):
            return (
                f"its oracle {getattr(one, '__name__', one)!r} declares no rules: decorate it with @oracle(RULE, ...)"
            )
        try:
            one(Execution(b"", (REJECT, "", None), target=target, run=lambda _: (REJECT, "", None)))
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
