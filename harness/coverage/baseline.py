"""The baseline ``corpus/coverage.toml``: what the committed corpus reaches on the newest release.

It holds the regions that each target's seeds reach, the coverage of each file in percent of the reachable, and the reach of
each target by file. :mod:`harness.coverage.changed` chooses targets by that reach. Hash maps have random keys and
frameworks differ by version, so a small difference is no loss.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from harness.coverage.collect import Coverage
from harness.errors import HarnessError
from harness.files import write_named

NAME = "coverage.toml"
#: Regions that a target may have less than its baseline, and percent points that a file may.
SLACK_REGIONS = 4
SLACK_PERCENT = 0.5


def figures(found: Coverage) -> dict[str, Any]:
    """Figures of one replay: ``targets`` in regions, ``files`` in percent, ``reach`` in Rust regions and Python lines.

    Modules that are not driven here have none.
    """
    files = {file.path: round(file.region_tally.percent, 1) for file in found.rust}
    files |= {file.path: round(file.line_tally.percent, 1) for file in found.python if not file.not_driven}
    return {
        "release": found.parser.version,
        "targets": {name: reach.regions for name, reach in sorted(found.targets.items())},
        "files": dict(sorted(files.items())),
        "reach": {name: dict(sorted(reach.files.items())) for name, reach in sorted(found.targets.items())},
    }


def write(path: Path, found: Coverage) -> None:
    """Write the figures of ``found``. Raises HarnessError when ``path`` cannot be written."""
    table = figures(found)
    lines = [
        "# What the committed corpus reaches: regions by target; by file, percent of what can be reached (Rust regions, Python",
        "# lines); by target and file, Rust regions and Python lines (`harness targets --changed` chooses by that).",
        "# Kept by `harness coverage --write-baseline`, held by `harness coverage --baseline` and the test-suite.",
        f'release = "{table["release"]}"',
        "",
        "[targets]",
        *(f"{name} = {count}" for name, count in table["targets"].items()),
        "",
        "[files]",
        *(f'"{name}" = {percent}' for name, percent in table["files"].items()),
    ]
    for target, reached in table["reach"].items():
        lines += ["", f"[reach.{target}]", *(f'"{name}" = {count}' for name, count in reached.items())]
    write_named(path, "\n".join(lines) + "\n")


def read(path: Path) -> dict[str, Any]:
    """The figures of the file. Raises HarnessError when it is missing or damaged."""
    try:
        table = tomllib.loads(path.read_text())
        targets = {str(name): int(count) for name, count in table["targets"].items()}
        files = {str(name): float(percent) for name, percent in table["files"].items()}
        reach = {str(t): {str(name): int(n) for name, n in row.items()} for t, row in table.get("reach", {}).items()}
        return {"release": str(table["release"]), "targets": targets, "files": files, "reach": reach}
    except FileNotFoundError as error:
        raise HarnessError(f"there is no baseline {path}", hint="harness coverage --write-baseline makes it") from error
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise HarnessError(f"{path} is damaged: {error}", hint="restore it from version control") from error


def losses(found: Coverage, wanted: dict[str, Any], able: Collection[str] = ()) -> list[str]:
    """Losses of ``found`` against the baseline ``wanted``, as sentences.

    A target that was not replayed counts only where it is ``able`` to run: the framework of others is missing. A module that is
    not driven here does not count, nor does a target that reached one. Files count only when all targets were replayed.
    """
    now = figures(found)
    if now["release"] != wanted["release"]:
        hint = "measure that release, or write a new baseline"
        raise HarnessError(f"the baseline is of release {wanted['release']}, this is {now['release']}", hint=hint)
    absent = {file.path for file in found.python if file.not_driven}
    lost = [
        f"target {name} was not replayed" for name in wanted["targets"] if name in able and name not in now["targets"]
    ]
    lost += [
        f"target {name} reaches {now['targets'][name]} regions, it was {count}"
        for name, count in wanted["targets"].items()
        if name in now["targets"] and now["targets"][name] < count - SLACK_REGIONS
        if not absent & wanted["reach"].get(name, {}).keys()
    ]
    if wanted["targets"].keys() <= now["targets"].keys():
        lost += [
            f"{name} is covered by {now['files'].get(name, 0.0)} %, it was {percent} %"
            for name, percent in wanted["files"].items()
            if name not in absent and now["files"].get(name, 0.0) < percent - SLACK_PERCENT
        ]
    return lost
