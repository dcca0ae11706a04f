"""docs/oracles.md lists every rule with its kind, severity and title."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from harness.findings.rule import CHECKS, KINDS, Rule
from harness.findings.severity import SEVERITIES
from harness.format import rules as text

PAGE = (Path(__file__).parents[2] / "docs" / "oracles.md").read_text(encoding="utf-8")
# In a process of its own: tests define rules, and packages that are installed here bring theirs.
_DEFINED = """
import json
from harness.findings import rule
from harness.targets import registry
registry.entry_points = lambda group: []
rule.named("")
print(json.dumps([[one.oracle, one.name, one.kind, one.severity, one.title] for one in rule.defined()]))
"""


def rows(head: str) -> list[str]:
    """The rows of the table below the line ``head``."""
    lines = PAGE[PAGE.index(head) :].splitlines()[2:]
    return lines[: next(place for place, line in enumerate(lines) if not line)]


def test_every_rule_has_its_row_and_there_are_no_others() -> None:
    done = subprocess.run([sys.executable, "-c", _DEFINED], capture_output=True, text=True, check=True, timeout=120)
    expected = [
        f"| `{oracle}` | `{name}` | {kind} | {severity} | {title} |"
        for oracle, name, kind, severity, title in json.loads(done.stdout)
        # Those that a file can break are rows of docs/format.md.
        if name not in text.RULES
    ]
    assert len(expected) > 50
    written = rows("| oracle | rule |")
    missing = [row for row in expected if row not in written]
    assert not missing, "add to docs/oracles.md:\n" + "\n".join(missing)
    stale = [row for row in written if row not in expected]
    assert not stale, "no oracle defines:\n" + "\n".join(stale)


def test_every_field_of_a_rule_is_explained() -> None:
    written = [row.split("`")[1] for row in rows("| field | meaning |")]
    assert written == [field.name for field in fields(Rule) if field.name != "family"]


def test_kinds_severities_and_checks_are_all_there() -> None:
    assert rows("| severity | meaning |") == [f"| {name} | {meaning} |" for name, meaning in SEVERITIES.items()]
    for name in (*KINDS, *CHECKS):
        assert f"`{name}`" in PAGE[PAGE.index("## Rules") : PAGE.index("## Severities")], name
