"""The process that inputs are replayed in for coverage: ``python -m harness.coverage.replay SPEC``.

It loads a coverage-instrumented parser with coverage.py watching the parser's Python files, and runs one batch of inputs
on one target. The Rust profile is written when the process ends, to ``LLVM_PROFILE_FILE``.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from harness.coverage import batches
from harness.parsers import registry, runtime
from harness.parsers.registry import Parser
from harness.replay.child import limit_memory
from harness.targets.registry import get_target


@contextlib.contextmanager
def _python_watched(parser: Parser, data_file: str) -> Iterator[None]:
    """Measure the parser's Python files, unless there is no file to write to."""
    if not data_file:
        yield
        return
    import coverage

    # Naming the folder, not the files, makes those that nobody imports known to the report too.
    watch = coverage.Coverage(data_file=data_file, branch=True, config_file=False, source=[str(parser.site)])
    watch.start()
    yield
    watch.stop()
    watch.save()


def replay(spec: Mapping[str, Any]) -> None:
    """Run the batch of ``spec``; Python coverage goes to ``spec["python"]`` with the process' number, if named."""
    target = get_target(spec["target"])
    parser = registry.find(spec["parser"])
    with _python_watched(parser, spec["python"] and f"{spec['python']}.{spec['process']}"):
        run = target.open(runtime.load(parser))
        limit_memory(target.memory_mb)
        batches.serve(spec, lambda _, data: run(data))


if __name__ == "__main__":
    replay(json.loads(sys.argv[1]))
