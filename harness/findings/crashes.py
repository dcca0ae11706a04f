"""The filed findings: ``crashes/<id>/{input.safetensors,finding.toml,reproduce.py}``."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import harness
from harness import paths
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.findings import toml
from harness.findings.finding import Finding, Record
from harness.findings.severity import SEVERITIES
from harness.findings.signature import finding_id

INPUT = "input.safetensors"
ABOUT = "finding.toml"
REPRODUCER = "reproduce.py"
#: The helpers of all reproducers, beside the folders: how a script ends, and what runs other programs.
KIT = ("_kit.py", "_tools.py")
#: The sanitizer's report, where the finding showed on a build with one.
REPORT = "report.txt"

OPEN = "open"
FIXED = "fixed"
BY_DESIGN = "by-design"
#: Upstream's texts or tests contradict each other: no defect.
DISPUTED = "disputed"
STATUSES = (OPEN, FIXED, BY_DESIGN, DISPUTED)

_REQUIRED = ("id", "target", "oracle", "kind", "signature", "status", "summary", "why")


@dataclass(frozen=True, slots=True)
class Crash(Record):
    """One filed finding. ``releases`` and ``builds`` are those it was seen on; ``found`` says how.

    ``severity`` is one of :data:`harness.findings.severity.SEVERITIES`, "" for that of the rule. ``why`` says why it is
    wrong, ``sentence`` is the text that says so. ``instead`` is what the release wheel does with the input where only
    checked builds show the finding. ``newest_python`` is the newest CPython that shows it, such as 3.11, and "" where all do.
    """

    finding: Finding
    status: str
    why: str
    sentence: str = ""
    place: str = ""
    releases: tuple[str, ...] = ()
    builds: tuple[str, ...] = ()
    verdict: str = ""
    instead: str = ""
    newest_python: str = ""
    severity: str = ""
    repeat: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()

    @property
    def input(self) -> Path:
        """The input's file."""
        return self.folder / INPUT

    @property
    def flavour(self) -> str:
        """The kind of build to run it on: the checked one where several show it."""
        return "sancov" if not self.builds or "sancov" in self.builds else self.builds[0]

    def cannot_show(self) -> str:
        """Why the finding cannot show on this interpreter; "" where it can."""
        here = sys.version_info[:2]
        if not self.newest_python or here <= tuple(map(int, self.newest_python.split("."))):
            return ""
        return f"CPython {self.newest_python} is the newest that shows it; this is {here[0]}.{here[1]}"

    def data(self) -> bytes:
        """The input. Raises HarnessError when it is gone."""
        try:
            return self.input.read_bytes()
        except OSError as error:
            raise HarnessError(f"{self.input}: {error.strerror}", hint="restore it from version control") from error


def roots() -> list[Path]:
    """The folders that hold filed findings: the project's own, then those an installed package brings along."""
    packaged = Path(harness.__file__).parent / "_data" / "crashes"
    return list(dict.fromkeys(root for root in (paths.crashes_dir(), packaged) if root.is_dir()))


@functools.cache
def kit() -> Mapping[str, str]:
    """The source of the helpers by the name of their file. Raises HarnessError where this installation lacks one."""
    package = Path(harness.__file__).parent
    found = {}
    for name in KIT:
        places = (package.parent / "crashes" / name, package / "_data" / "crashes" / name)
        path = next((path for path in places if path.is_file()), None)
        if path is None:
            raise HarnessError(f"crashes/{name} is missing from this installation", hint="install the harness again")
        found[name] = path.read_text(encoding="utf-8")
    return found


def put_kit(root: Path) -> None:
    """Write the helpers into a folder of findings that lacks them."""
    for name, source in kit().items():
        if not (path := root / name).is_file():
            write_atomic(path, source)


def load(folder: Path) -> Crash:
    """The finding filed in ``folder``. Raises HarnessError naming file and line when finding.toml is damaged."""
    path = folder / ABOUT
    hint = "restore it from version control; the input beside it is untouched"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{path} cannot be read: {error}", hint=hint) from error
    table = toml.loads(text, str(path), hint)
    missing = [name for name in _REQUIRED if not isinstance(table.get(name), str)]
    if missing:
        raise HarnessError(
            f"{path} ends at line {len(text.splitlines())} without the text field {missing[0]!r}", hint=hint
        )
    if table["status"] not in STATUSES:
        raise HarnessError(
            f"{path}: status {table['status']!r} is none of {', '.join(STATUSES)}", hint="correct the file"
        )
    try:
        finding = Finding.of_signature(table["signature"], table["oracle"], table["summary"])
    except ValueError as error:
        raise HarnessError(f"{path}: {error}", hint=hint) from error
    if not table["id"] == finding.id == folder.name:
        raise HarnessError(f"{path}: the signature belongs to {finding.id}, the file says {table['id']}, its folder is {folder.name}",
                           hint="rename the folder and correct the id")  # fmt: skip
    values: dict[str, Any] = {name: value for name, value in table.items() if name in _OWN}
    values |= {name: tuple(table.get(name, ())) for name in ("releases", "builds")}
    values.setdefault("severity", finding.severity)
    if values["severity"] not in SEVERITIES:
        raise HarnessError(
            f"{path}: severity {values['severity']!r} is none of {', '.join(SEVERITIES)}", hint="correct the file"
        )
    if not re.fullmatch(r"(3\.\d+)?", values.get("newest_python", "")):
        raise HarnessError(
            f"{path}: newest_python {values['newest_python']!r} is no version such as 3.11", hint="correct the file"
        )
    return Crash(finding, folder=folder, **values)


_OWN = frozenset(Crash.__slots__) - {"finding", "folder"}


def crashes() -> list[Crash]:
    """Every filed finding by id; the project's own hides a packaged one of the same id."""
    found: dict[str, Crash] = {}
    for root in roots():
        for path in sorted(root.glob(f"*/{ABOUT}")):
            if path.parent.name not in found:
                found[path.parent.name] = load(path.parent)
    return [found[name] for name in sorted(found)]


def find(sig: str) -> Crash | None:
    """The filed finding of that signature."""
    name = finding_id(sig)
    for root in roots():
        if (root / name / ABOUT).is_file():
            return load(root / name)
    return None


def named(name: str) -> Crash:
    """The filed finding with the id ``name``. Raises HarnessError where there is none."""
    crash = next((one for one in crashes() if one.id == name), None)
    if crash is None:
        raise HarnessError(f"no filed finding is called {name!r}", hint=f"see the folders of {paths.crashes_dir()}")
    return crash


def file(crash: Crash, data: bytes, reproducer: str, *, root: Path | None = None, report: str = "") -> Path:
    """Write a finding's folder below ``root`` (default: the project's crashes/) and return it.

    ``report`` is the sanitizer's; without one, a report that is there stays.

    finding.toml comes last: a folder without it is not listed, so a kill half way leaves nothing broken.
    """
    folder = (root or paths.home() / "crashes") / crash.id
    folder.mkdir(parents=True, exist_ok=True)
    put_kit(folder.parent)
    write_atomic(folder / INPUT, data)
    write_atomic(folder / REPRODUCER, reproducer)
    if report:
        write_atomic(folder / REPORT, report)
    write_about(crash, folder)
    return folder


def write_about(crash: Crash, folder: Path) -> None:
    """Write finding.toml of ``crash`` into ``folder``."""
    table: dict[str, Any] = {
        **crash.finding.about(),
        "status": crash.status,
        "releases": list(crash.releases),
        "builds": list(crash.builds),
        "severity": crash.severity or crash.finding.severity,
        "summary": crash.summary,
        "why": crash.why,
    }
    for name in ("sentence", "place", "instead", "newest_python", "verdict"):
        if getattr(crash, name):
            table[name] = getattr(crash, name)
    table["repeat"] = crash.repeat or f"harness repro {crash.id}"
    table["found"] = dict(crash.found)
    write_atomic(folder / ABOUT, toml.dumps(table))
