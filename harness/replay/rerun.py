"""Runs many inputs of a target again on another build, in forks of one child."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from harness.errors import HarnessError
from harness.findings.finding import Finding
from harness.parsers.registry import Parser
from harness.replay.replay import Replayer, patience


def rerun(
    parser: Parser,
    target: str,
    inputs: Iterable[bytes],
    *,
    live: Callable[[Replayer], AbstractContextManager[object]] = contextlib.nullcontext,
    over: Callable[[], bool] = lambda: False,
    costly: bool = False,
) -> Iterator[tuple[bytes, list[Finding]]]:
    """Each input with its findings, the smallest input first. The costly oracles are asked if so wanted.

    ``live`` is entered while the child may run, so that another thread can kill it. Nothing more is given once ``over``: a
    killed child is no finding. Raises HarnessError when the child cannot start, EngineError when an oracle of ours fails.
    """
    with Replayer(parser, target, relations=costly, forks=True) as replayer, live(replayer):
        for data in sorted(inputs, key=lambda one: (len(one), one)):
            if over():
                return
            try:
                result = replayer.run(data, patience(replayer.target))
            except HarnessError:
                if over():
                    return
                raise
            if over():
                return
            yield data, [judged.finding for judged in result.findings]
