"""Check that a campaign did its work: campaign.py CAMPAIGN_FOLDER EXIT_STATUS.

A fuzzing job can be green without executions, seeds or coverage. This check fails on each of these.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def problems(session: dict, status: int) -> list[str]:
    """The problems of the session, a sentence each."""
    found = []
    if not session["per_target"]:
        found.append("no target was driven")
    found += [f"a target was left out: {reason}" for reason in session["left_out"].values()]
    for target, figures in session["per_target"].items():
        if not figures["executions"] > figures["seeds"]:
            found.append(f"{target} executed {figures['executions']} inputs: no more than its seeds")
        if not session["seeds"][target] or not figures["seeds"]:
            found.append(f"{target} loaded no seeds")
        if not figures["edges"] > figures["edges_at_start"]:
            found.append(f"{target} gained no edges over the {figures['edges_at_start']} of its first input")
        if not figures["semantic_features"]:
            found.append(f"{target} saw no semantic feature")
        if figures["defects"]:
            found.append(f"{target} met {figures['defects']} defects of the harness itself")
    expected = 1 if session["new"] else 0
    if status != expected:
        found.append(
            f"harness fuzz ended with {status}; with {len(session['new'])} new findings it is to end with {expected}"
        )
    return found


def main() -> None:
    """Print the problems and end with 1, or print one line of figures."""
    ledger = json.loads((Path(sys.argv[1]) / "campaign.json").read_text())
    session = ledger["sessions"][-1]
    found = problems(session, int(sys.argv[2]))
    for problem in found:
        print(f"ci: {problem}")
    if found:
        sys.exit(1)
    seeds = sum(session["seeds"].values())
    edges = ", ".join(f"{name} {figures['edges']}" for name, figures in session["per_target"].items())
    new = len(session["new"])
    print(
        f"ci: {session['executions']} executions from {seeds} seeds; edges: {edges}; {new} new findings; status {sys.argv[2]}"
    )


if __name__ == "__main__":
    main()
