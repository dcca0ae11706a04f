"""Runs findings again on another build of the parser: a finding that shows there is not new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.findings.store import Stored
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.replay.replay import Replayer
from harness.targets.registry import get_target
from harness.triage.filing import TRIES, needs_relations

#: It shows on the build it was found on, and not on the other one.
ONLY_HERE = "only-here"
#: It shows on the other build too, or has nothing to do with the parser.
THERE_TOO = "there-too"
#: It no longer shows on the build it was found on.
NOT_AGAIN = "not-again"


def compare(findings: Sequence[Stored], other: Parser) -> Iterator[tuple[Stored, str]]:
    """Each finding with one of the words above. Its input runs again on ``other`` and on the build it was found on.

    Raises HarnessError when a build or a target is missing, EngineError when a build cannot be loaded.
    """
    by_target: dict[str, list[Stored]] = {}
    for stored in findings:
        by_target.setdefault(stored.target, []).append(stored)
    for target, group in by_target.items():
        if not get_target(target).uses_parser:
            yield from ((stored, THERE_TOO) for stored in group)
            continue
        # One process for all is quick, and shows findings that only a used process shows.
        with Replayer(other, target, relations=any(needs_relations(one.signature) for one in group)) as used:
            for stored in group:
                yield stored, _state(stored, other, used)


def _state(stored: Stored, other: Parser, used: Replayer) -> str:
    data = stored.data()
    if stored.signature in used.run(data).signatures or shows(other, stored, data, 1):
        return THERE_TOO
    return ONLY_HERE if shows(registry.find(stored.parser), stored, data, TRIES) else NOT_AGAIN


def shows(parser: Parser, stored: Stored, data: bytes, tries: int) -> bool:
    """Whether it shows in one of at most ``tries`` fresh processes."""
    for _ in range(tries):
        with Replayer(parser, stored.target, relations=needs_relations(stored.signature)) as fresh:
            if stored.signature in fresh.run(data).signatures:
                return True
    return False
