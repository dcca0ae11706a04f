"""Functions that the extension never calls, with the reason, from ``unreachable.toml``.

The list names whole functions. A listed function that ran counts as reachable and gives a warning.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.coverage.counts import RustFile
from harness.errors import HarnessError

FILE = Path(__file__).with_name("unreachable.toml")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """``name`` in the file whose path ends with ``file`` is never called, because of ``reason``."""

    file: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.file})"


def load(path: Path = FILE) -> tuple[list[Exclusion], list[str]]:
    """The exclusions, and the releases they were established on. Raises HarnessError when the file is damaged."""
    try:
        table = tomllib.loads(path.read_text())
        entries = [
            Exclusion(group["file"], name, group["reason"]) for group in table["group"] for name in group["functions"]
        ]
        return entries, list(table["releases"])
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise HarnessError(f"{path.name} cannot be read: {error!r}", hint="restore it from version control") from error


def apply(files: Sequence[RustFile], exclusions: Sequence[Exclusion], *, exact: bool = True) -> list[str]:
    """Mark the excluded functions in ``files`` and return warnings.

    A function that ran stays reachable. With ``exact``, a name that is not in the build is a warning too.
    """
    warnings = []
    for exclusion in exclusions:
        matches = [
            (file, function)
            for file in files
            if file.path.endswith(exclusion.file)
            for function in file.source.functions
            if function.name == exclusion.name and any(function.contains(region[:2]) for region in file.regions)
        ]
        if not matches and exact:
            warnings.append(f"{exclusion} is excluded from coverage but not in this build")
        for file, function in matches:
            if any(count and function.contains(region[:2]) for region, count in file.regions.items()):
                warnings.append(f"{exclusion} is excluded from coverage but ran: it counts as reachable")
            else:
                file.excluded[function.start] = exclusion.reason
    return warnings
