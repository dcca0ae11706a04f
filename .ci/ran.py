"""Print the targets that did not run though they could, a line each: ran.py REPORT_JSON, made by `harness report --json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def idle(report: dict) -> list[str]:
    """The targets with campaign, state and reason. One that is not installed here is a matter of the set-up."""
    return [
        f"target {name} in {campaign['name']}: {one['state']}: {(one['reason'].splitlines() or [''])[0]}"
        for campaign in report["campaigns"]
        for name, one in campaign["not_run"].items()
        if one["state"] != "not installed"
    ]


if __name__ == "__main__":
    print("".join(f"{line}\n" for line in idle(json.loads(Path(sys.argv[1]).read_text()))), end="")
