"""The defects: ``crashes/defects/<name>.toml``, one record per root cause, with its impact, its fix and its findings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.findings import crashes, toml
from harness.findings.crashes import Crash
from harness.findings.severity import (
    DENIAL,
    LENIENCY,
    MEMORY_SAFETY,
    SEVERITIES,
    SIDE_EFFECT,
    STRICTNESS,
    WRONG_DATA,
    WRONG_EXCEPTION,
)

FOLDER = "defects"

#: The controllers of the input that shows a defect, in words.
CONTROLLERS = {
    "file": "the author of a file that a stranger sent",
    "caller": "the calling program, by the values that it passes",
    "process": "another process or thread, or the state of the machine",
}
#: The use that shows it: a documented one, or an odd one.
USES = ("ordinary", "unusual")

#: The ranks of a defect, the worst first.
RANKS = ("critical", "high", "medium", "low")

# Points of a harm. A regression, a stranger's control and an ordinary use add a point each.
_POINTS = {
    MEMORY_SAFETY: 6, WRONG_DATA: 5, DENIAL: 4, WRONG_EXCEPTION: 2, LENIENCY: 2, SIDE_EFFECT: 1, STRICTNESS: 1,
}  # fmt: skip
_AT_LEAST = ((7, "critical"), (5, "high"), (3, "medium"))

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PLACE = re.compile(r"[\w./-]+:\d+")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_TEXTS = ("title", "cause", "impact", "harm", "controller", "use", "first")
_KEYS = frozenset((*_TEXTS, "places", "regression", "wheel", "threads", "findings", "disputed", "quotes", "edits"))


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in a source file of the parser.

    ``file`` is a path in the sdist. ``anchor`` is the text that is replaced: it occurs once in the file. ``replacement`` is
    our own text.
    """

    file: str
    anchor: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Quote:
    """A passage of a text or test that a disputed finding rests on, and where it stands."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Defect:
    """One root cause.

    ``places`` are ``file:line`` in the source of 0.8.0, the cause first. ``harm`` is one of
    :data:`harness.findings.severity.SEVERITIES`: the harm on the release wheel. ``impact`` tells it in words. ``wheel`` is
    False where only checked builds show it. ``first`` is the first bad release; ``regression`` is True where an earlier
    release was right. ``threads`` are upstream's, such as ``issue 825`` or ``PR 826``. ``disputed`` marks a behaviour that
    upstream's texts or tests contradict: then ``quotes`` holds both sides. ``findings`` are ids of folders in crashes/.
    """

    name: str
    title: str
    cause: str
    places: tuple[str, ...]
    impact: str
    harm: str
    controller: str
    use: str
    first: str
    findings: tuple[str, ...]
    regression: bool = False
    wheel: bool = True
    threads: tuple[str, ...] = ()
    disputed: bool = False
    quotes: tuple[Quote, ...] = ()
    edits: tuple[Edit, ...] = ()
    path: Path = Path()

    @property
    def points(self) -> int:
        """The points of its harm, controller, use and regression; 0 where the wheel does not show it."""
        if not self.wheel:
            return 0
        return _POINTS[self.harm] + (self.controller == "file") + (self.use == "ordinary") + self.regression

    @property
    def severity(self) -> str:
        """One of :data:`RANKS`, by :attr:`points`."""
        return next((rank for least, rank in _AT_LEAST if self.points >= least), RANKS[-1])

    @property
    def counts(self) -> bool:
        """Whether it counts as a defect of the release: it is not disputed, and the wheel shows it."""
        return self.wheel and not self.disputed


def by_harm(defect: Defect) -> tuple[int, int, str]:
    """A key that sorts the worst defect first."""
    return -defect.points, list(SEVERITIES).index(defect.harm), defect.name


def load(path: Path) -> Defect:
    """The record in ``path``. Raises HarnessError naming the file and the field that is missing or wrong."""
    hint = "correct the record; docs/triage.md lists its fields"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{path} cannot be read: {error}", hint=hint) from error
    table = toml.loads(text, str(path), hint)

    def check(holds: bool, fault: str) -> None:
        if not holds:
            raise HarnessError(f"{path}: {fault}", hint=hint)

    check(_NAME.fullmatch(path.stem) is not None, "its name is not lower-case words joined by -")
    check(not (table.keys() - _KEYS), f"unknown field {', '.join(sorted(table.keys() - _KEYS))}")
    for name in _TEXTS:
        check(isinstance(table.get(name), str) and bool(table[name].strip()), f"the text field {name!r} is missing")
    check(table["harm"] in SEVERITIES, f"harm {table['harm']!r} is none of {', '.join(SEVERITIES)}")
    check(table["controller"] in CONTROLLERS, f"controller {table['controller']!r} is none of {', '.join(CONTROLLERS)}")
    check(table["use"] in USES, f"use {table['use']!r} is none of {', '.join(USES)}")
    check(_VERSION.fullmatch(table["first"]) is not None, f"first {table['first']!r} is no release")
    for name in ("places", "threads", "findings"):
        check(_texts(table.get(name, [])), f"{name} is not a list of texts")
    for name in ("places", "findings"):
        check(bool(table.get(name)), f"{name} is empty")
    for place in table["places"]:
        check(_PLACE.fullmatch(place) is not None, f"place {place!r} is not file:line")
    for name in ("regression", "wheel", "disputed"):
        check(isinstance(table.get(name, False), bool), f"{name} is not true or false")
    quotes = _records(table.get("quotes", []), ("source", "text"), check, "quotes")
    edits = _records(table.get("edits", []), ("file", "anchor", "replacement"), check, "edits")
    check(not table.get("disputed") or len(quotes) >= 2, "a disputed record quotes both sides: two [[quotes]]")
    check(len(set(table["findings"])) == len(table["findings"]), "a finding is named twice")
    values: dict[str, Any] = {
        name: table[name] for name in (*_TEXTS, "regression", "wheel", "disputed") if name in table
    }
    values |= {name: tuple(table.get(name, ())) for name in ("places", "threads", "findings")}
    return Defect(
        path.stem,
        quotes=tuple(Quote(**quote) for quote in quotes),
        edits=tuple(Edit(**edit) for edit in edits),
        path=path,
        **values,
    )


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _records(value: object, fields: Sequence[str], check: Any, name: str) -> list[dict[str, str]]:
    check(isinstance(value, list), f"{name} is not a list of tables")
    assert isinstance(value, list)
    for item in value:
        right = isinstance(item, dict) and item.keys() == set(fields) and all(isinstance(v, str) for v in item.values())
        check(right, f"one of {name} has other fields than {', '.join(fields)}")
    return value


def defects(root: Path | None = None) -> list[Defect]:
    """Every record, the worst first.

    Raises HarnessError where a record is damaged, where two records name one finding, or where a record names a finding that
    is not filed. ``root`` is a folder such as crashes/; by default the project's and the package's.
    """
    roots = [root] if root is not None else crashes.roots()
    found: dict[str, Defect] = {}
    for folder in roots:
        for path in sorted((folder / FOLDER).glob("*.toml")):
            if path.stem not in found:
                found[path.stem] = load(path)
    owners: dict[str, Defect] = {}
    for defect in found.values():
        for finding in defect.findings:
            if (other := owners.setdefault(finding, defect)) is not defect:
                raise HarnessError(
                    f"{defect.path} and {other.path} both name the finding {finding}", hint="take it out of one of them"
                )
            if not any((folder / finding / crashes.ABOUT).is_file() for folder in roots):
                raise HarnessError(f"{defect.path} names the finding {finding}, which is not filed", hint="correct it")
    return sorted(found.values(), key=by_harm)


def find(name: str) -> Defect:
    """The record of that name. Raises HarnessError with the names that are near."""
    every = {defect.name: defect for defect in defects()}
    if name not in every:
        known = ", ".join(sorted(every)) or "none"
        raise HarnessError(f"there is no defect {name!r}; the records are: {known}", hint="see crashes/defects/")
    return every[name]


def fixed() -> list[Defect]:
    """The records that have a fix and are not disputed. Raises HarnessError where there is none."""
    if not (found := [defect for defect in defects() if defect.edits and not defect.disputed]):
        raise HarnessError("no defect record has a fix", hint="add [[edits]] to a record in crashes/defects/")
    return found


def owners(among: Iterable[Defect]) -> dict[str, Defect]:
    """The record of each finding that one names."""
    return {finding: defect for defect in among for finding in defect.findings}


def owner(finding: str, among: Iterable[Defect]) -> Defect | None:
    """The record that names the finding ``finding``."""
    return owners(among).get(finding)


def unclaimed(filed: Iterable[Crash], among: Iterable[Defect]) -> list[Crash]:
    """The open and disputed findings that no record names."""
    claimed = owners(among)
    return [crash for crash in filed if crash.status in (crashes.OPEN, crashes.DISPUTED) and crash.id not in claimed]
