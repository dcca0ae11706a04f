"""The bugs of the range, and the build that holds them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.bench.runner import Say
from harness.findings import toml
from harness.findings.defects import Edit
from harness.parsers import build
from harness.parsers.registry import Parser

#: The name of the build.
BUILD = "range"
#: The variables that switch bugs on ("all", or numbers with commas), and name the file of counts.
SWITCH, COUNTS = "HARNESS_RANGE", "HARNESS_RANGE_COUNTS"
#: The number of a bug in a replacement.
NUMBER = re.compile(r"range(?:::|_)on\((\d+),")
#: Predictions, made before any measurement: who misses a bug.
BYTES, ABLATED = "bytes", "ablated"
LEVELS = ("simple", "fields", "deep")
KINDS = ("reader", "slice", "writer", "framework", "sequence", "scale", "thread", "lifetime", "file")

_HERE = Path(__file__).parent
_HINT = "restore it from version control"


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug. ``origin`` is the change of upstream that mended such a bug; ``shows`` is a program with another result."""

    number: int
    name: str
    kind: str
    level: str
    title: str
    shows: str
    origin: str = ""
    misses: tuple[str, ...] = ()

    @property
    def unsteady(self) -> bool:
        """Whether it may not show in each run: it depends on other threads, or on memory that was freed."""
        return self.kind in ("thread", "lifetime")


@dataclass(frozen=True, slots=True)
class Planted:
    """All bugs as one change of the source."""

    name: str
    edits: tuple[Edit, ...]


def bugs() -> tuple[Bug, ...]:
    """All of them, by number."""
    file = _HERE / "bugs.toml"
    rows = toml.loads(file.read_text(encoding="utf-8"), file.name, _HINT)["bug"]
    made = (
        Bug(
            row["number"], row["name"], row["kind"], row["level"], row["title"], row["shows"],
            row.get("from", ""), tuple(row.get("misses", ())),
        )
        for row in rows
    )  # fmt: skip
    return tuple(sorted(made, key=lambda bug: bug.number))


def planted() -> Planted:
    """The edits that plant all bugs."""
    rows = [
        row
        for file in sorted((_HERE / "edits").glob("*.toml"))
        for row in toml.loads(file.read_text(encoding="utf-8"), file.name, _HINT)["edit"]
    ]
    module = (_HERE / "switch.rs").read_text(encoding="utf-8")
    return Planted(
        BUILD,
        tuple(Edit(row["file"], row["anchor"], row["replacement"].replace("@switch.rs\n", module)) for row in rows),
    )


def numbers(edits: Iterable[Edit]) -> list[int]:
    """The numbers of the bugs that the edits plant, each once."""
    return sorted({int(number) for edit in edits for number in NUMBER.findall(edit.replacement)})


def parser(say: Say) -> Parser:
    """The build that holds all bugs; made where it is missing."""
    return build.build(mend=[planted()], name=BUILD, progress=say)
