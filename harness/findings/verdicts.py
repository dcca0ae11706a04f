"""Verdict rules: what people decided about whole classes of findings, in one readable file.

A rule matches the parts of a signature (target, kind, rule, aspect), by glob, and so by outcome and structure; it never
sees an input's bytes. The package's own rules are in verdicts.toml beside this module; a project adds its own in
``./verdicts.toml``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path

from harness import paths
from harness.errors import HarnessError
from harness.findings import toml
from harness.findings.signature import parts

#: A rule that covers a larger share of all executions than this is shown as too wide.
TOO_WIDE = 0.01
VERDICTS = ("by-design", "wont-fix", "duplicate")

_FIELDS = frozenset({"name", "target", "kind", "rule", "aspect", "verdict", "why", "sentence"})
_NEEDED = ("name", "verdict", "why", "sentence")


@dataclass(frozen=True, slots=True)
class VerdictRule:
    """One verdict. ``target``, ``kind``, ``rule`` and ``aspect`` are globs on the parts of a signature."""

    name: str
    verdict: str
    why: str
    sentence: str
    target: str = "*"
    kind: str = "*"
    rule: str = "*"
    aspect: str = "*"

    def matches(self, sig: str) -> bool:
        """Whether the rule covers findings of this signature."""
        found = parts(sig)
        return all(
            fnmatchcase(getattr(found, name), getattr(self, name)) for name in ("target", "kind", "rule", "aspect")
        )


def parse(text: str, source: str) -> tuple[VerdictRule, ...]:
    """The rules in a verdicts file. Raises HarnessError naming ``source`` and what is wrong in it."""
    table = toml.loads(text, source, "correct the file; docs/triage.md shows a rule")
    if not isinstance(table.get("rule", []), list) or set(table) - {"rule"}:
        raise HarnessError(f"{source}: rules are written as [[rule]] tables", hint="docs/triage.md shows one")
    return tuple(_rule(entry, f"{source}, rule {number}") for number, entry in enumerate(table.get("rule", []), 1))


def _rule(entry: object, where: str) -> VerdictRule:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise HarnessError(f"{where}: every field is a text", hint="docs/triage.md shows a rule")
    unknown, missing = sorted(set(entry) - _FIELDS), [name for name in _NEEDED if not entry.get(name, "").strip()]
    if unknown:
        raise HarnessError(f"{where} has an unknown field {unknown[0]!r}", hint=f"fields: {', '.join(sorted(_FIELDS))}")
    if missing:
        raise HarnessError(
            f"{where} lacks {missing[0]!r}", hint="a verdict says why, and quotes the sentence it stands on"
        )
    if entry["verdict"] not in VERDICTS:
        raise HarnessError(
            f"{where}: verdict {entry['verdict']!r} is none of {', '.join(VERDICTS)}", hint="correct the file"
        )
    rule = VerdictRule(**entry)
    if (rule.target, rule.kind, rule.rule, rule.aspect) == ("*",) * 4:
        raise HarnessError(f"{where} covers everything", hint="name at least a kind and a rule")
    return rule


def place() -> Path:
    """The project's own rules."""
    return paths.home() / "verdicts.toml"


def read() -> str:
    """The text of the project's own rules, "" where it has none. Raises HarnessError when it cannot be read."""
    own = place()
    try:
        return own.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{own} cannot be read: {error}", hint="correct the file") from error


def rules() -> tuple[VerdictRule, ...]:
    """The project's own rules, then the package's."""
    return own_rules() + packaged_rules()


def own_rules() -> tuple[VerdictRule, ...]:
    """Those of the project's verdicts.toml. Raises HarnessError naming what is wrong in it."""
    return parse(read(), str(place()))


@functools.cache
def packaged_rules() -> tuple[VerdictRule, ...]:
    """Those that the package brings along."""
    text = (files("harness.findings") / "verdicts.toml").read_text(encoding="utf-8")
    return parse(text, "harness/findings/verdicts.toml")


def match(sig: str) -> VerdictRule | None:
    """The first rule that covers a signature."""
    return next((rule for rule in rules() if rule.matches(sig)), None)


def too_wide(counts: Mapping[str, int], executions: int) -> list[tuple[str, float]]:
    """Rules that covered more than TOO_WIDE of all ``executions``, with their share, the widest first.

    ``counts`` says by name in how many executions a rule covered what was seen.
    """
    shares = [(name, count / executions) for name, count in counts.items() if executions]
    return sorted(((name, share) for name, share in shares if share > TOO_WIDE), key=lambda pair: -pair[1])
