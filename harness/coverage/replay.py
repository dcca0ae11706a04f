"""The process that inputs are replayed in for coverage: ``python -m harness.coverage.replay SPEC``.

It loads a coverage-instrumented parser with coverage.py watching the parser's Python files, and runs one batch of inputs
on one target. The Rust profile is written when the process ends, to ``LLVM_PROFILE_FILE``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import coverage

from harness.coverage import batches
from harness.parsers import registry, runtime
from harness.targets import base
from harness.triage.child import limit_memory


def replay(spec: Mapping[str, Any]) -> None:
    """Run the batch of ``spec``; Python coverage goes to ``spec["python"]`` with the process' number."""
    target = base.get(spec["target"])
    parser = registry.find(spec["parser"])
    watch = coverage.Coverage(
        data_file=f"{spec['python']}.{spec['process']}",
        branch=True,
        config_file=False,
        # All files below it are known to the report, imported or not.
        source=[str(parser.site)],
        # Threads of a numerical library are none of ours.
        concurrency="thread",
    )
    watch.start()
    run = target.open(runtime.load(parser))
    limit_memory(target.memory_mb)
    batches.serve(spec, lambda _, data: run(data))
    watch.stop()
    watch.save()


if __name__ == "__main__":
    replay(json.loads(sys.argv[1]))
