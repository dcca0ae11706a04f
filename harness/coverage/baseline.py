"""What the committed corpus reaches, written down: so that a corpus that loses something is seen at once.

``corpus/coverage.toml`` holds, for the newest release, the regions that each target's seeds reach, per file the covered part
of what can be reached, and per target what it reaches of each file (:mod:`harness.coverage.changed` chooses targets by that). Edges inside hash maps come and go with the process' random keys, and frameworks differ by
version, so a little less than was written down is no loss.
"""

from __future__ import annotations

import tomllib
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
    """The figures of one replay in the form of the file.

    ``targets`` in regions, ``files`` in percent of the reachable, ``reach`` by target and file in Rust regions and Python lines.
    """
    files = {file.path: round(file.region_tally.percent, 1) for file in found.rust}
    files |= {file.path: round(file.line_tally.percent, 1) for file in found.python}
    return {
        "release": found.parser.version,
        "targets": {name: reach.regions for name, reach in sorted(found.targets.items())},
        "files": dict(sorted(files.items())),
        "reach": {name: dict(sorted(reach.files.items())) for name, reach in sorted(found.targets.items())},
    }


def write(path: Path, found: Coverage) -> None:
    """Write the figures of ``found`` down. Raises HarnessError when ``path`` cannot be written."""
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
    """What was written down. Raises HarnessError when there is nothing, or it is damaged."""
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


def losses(found: Coverage, wanted: dict[str, Any]) -> list[str]:
    """What ``found`` reaches less than was written down, in sentences; empty when nothing is lost.

    A target that was not replayed (its framework is not installed) is passed over, and so is one that reached the
    module of such a framework; then files are, too: what those reached nobody else need reach.
    """
    now = figures(found)
    if now["release"] != wanted["release"]:
        raise HarnessError(
            f"the baseline is of release {wanted['release']}, this is {now['release']}", hint="compare like with like"
        )
    absent = {f"safetensors/{name}.py" for name in wanted["targets"].keys() - now["targets"].keys()}
    lost = [
        f"target {name} reaches {now['targets'][name]} regions, it was {count}"
        for name, count in wanted["targets"].items()
        if name in now["targets"] and now["targets"][name] < count - SLACK_REGIONS
        if not absent & wanted["reach"].get(name, {}).keys()
    ]
    if wanted["targets"].keys() <= now["targets"].keys():
        lost += [
            f"{name} is covered by {now['files'].get(name, 0.0)} %, it was {percent} %"
            for name, percent in wanted["files"].items()
            if now["files"].get(name, 0.0) < percent - SLACK_PERCENT
        ]
    return lost
