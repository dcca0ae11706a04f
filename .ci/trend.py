"""The trend of coverage: add the totals of a coverage.json to a table, and print its last rows in Markdown with sparklines.

trend.py COVERAGE_JSON TABLE COMMIT
"""

from __future__ import annotations

import csv
import datetime
import json
import sys
from pathlib import Path

COLUMNS = ("date", "commit", "rust regions", "rust lines", "python lines", "python branches")
SHOWN = 12
BARS = "▁▂▃▄▅▆▇█"


def row(report: dict, commit: str) -> dict[str, str]:
    """The percentages of reachable code, of one measurement."""
    totals = report["totals"]
    figures = {name: totals[name.split()[0]][name.split()[1]]["percent"] for name in COLUMNS[2:]}
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"date": today, "commit": commit[:12], **{name: f"{percent:.2f}" for name, percent in figures.items()}}


def spark(values: list[float]) -> str:
    """A bar for each value; the lowest value has the smallest bar. Equal values have the smallest bar."""
    low, high = min(values), max(values)
    step = (high - low) / (len(BARS) - 1) or 1.0
    return "".join(BARS[round((value - low) / step)] for value in values)


def page(rows: list[dict[str, str]]) -> str:
    """The last rows as a table, and a sparkline of each figure above it."""
    shown = rows[-SHOWN:]
    lines = ["### Coverage of the parser by the committed corpus, percent of reachable code", ""]
    lines += ["| | " + " | ".join(COLUMNS[2:]) + " |", "|---" * (len(COLUMNS) - 1) + "|"]
    lines += ["| trend | " + " | ".join(spark([float(r[name]) for r in shown]) for name in COLUMNS[2:]) + " |"]
    lines += [
        f"| {r['date']} `{r['commit']}` | " + " | ".join(r[name] for name in COLUMNS[2:]) + " |" for r in shown[::-1]
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Add a row, once per commit, and print."""
    report, table, commit = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    new = row(json.loads(report.read_text()), commit)
    rows: list[dict[str, str]] = []
    if table.exists():
        with table.open(newline="") as file:
            rows = [r for r in csv.DictReader(file, delimiter="\t") if r["commit"] != new["commit"]]
    rows.append(new)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    print(page(rows))


if __name__ == "__main__":
    main()
