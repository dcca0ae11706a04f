"""The result of the mutants as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """A table by file, the targets that killed, and the survivors without a reason."""
    rows: list[tuple[str, ...]] = [
        ("file", "mutants", "unviable", "identical", "killed", "survived", "equivalent", "score")
    ]
    rows += [_row(file, figures) for file, figures in [*result["files"].items(), ("all", result["all"])]]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(widths[0]) if not at else cell.rjust(widths[at]) for at, cell in enumerate(row))
    yield "killed by: " + ", ".join(f"{name} {count}" for name, count in result["killed_by_target"].items())
    for name, row in result["peers"].items():
        yield (
            f"{name} kills {row['killed']} of {row['mutants']}, the replay {row['killed_by_replay']}; "
            f"the replay alone {row['replay_alone']}, {name} alone {row['peer_alone']}"
        )
    yield f"killed by a signature that another input shows without the mutant: {len(result['masked'])}"
    for one in result["survivors"]:
        if not one["reason"]:
            found = (one.get("campaign") or {}).get("found")
            more = "; no input runs its place" if one.get("reached") == 0 else ""
            more += f"; {one['killed_before_by']} killed it before" if one["killed_before_by"] else ""
            yield f"survivor without a reason: {one['name']}{more}" + (f"; a campaign finds {found}" if found else "")


def _row(name: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    score = "" if figures["score"] is None else f"{figures['score']:.1%}"
    counts = [str(figures[key]) for key in ("mutants", "unviable", "identical", "killed", "survived", "equivalent")]
    return (name, *counts, score)
