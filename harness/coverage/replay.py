"""Replays inputs on a coverage build. ``python -m harness.coverage.replay SPEC`` is the child that runs one batch.

coverage.py watches the parser's Python files. The child writes the Rust profile to ``LLVM_PROFILE_FILE`` when it ends.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.coverage import batches
from harness.coverage.batches import Replayed
from harness.parsers import registry, runtime
from harness.parsers.registry import Parser
from harness.replay.child import limit_memory
from harness.targets.registry import get_target


def replay(build: Parser, target: str, inputs: Sequence[bytes], folder: Path, *, python: bool = False) -> Replayed:
    """Replay ``inputs`` on all cores; raw profiles go to ``folder``, and coverage.py's data to ``python.*`` if asked.

    An input that ends its process leaves no profile.
    """
    return batches.run(
        "harness.coverage.replay",
        inputs,
        {"parser": (build.name, str(build.root)), "target": target, "python": str(folder / "python") if python else ""},
        lambda process: {"LLVM_PROFILE_FILE": str(folder / f"{process}.profraw")},
        batch=max(250, -(-len(inputs) // batches.cores())),
        workers=batches.cores(),
    )


def profiles(folder: Path) -> list[Path]:
    """The raw profiles below ``folder``. A process that died leaves an empty one, which is not listed."""
    return [path for path in sorted(folder.rglob("*.profraw")) if path.stat().st_size]


@contextlib.contextmanager
def _python_watched(parser: Parser, data_file: str) -> Iterator[None]:
    """Measure the parser's Python files, unless ``data_file`` is empty."""
    if not data_file:
        yield
        return
    import coverage

    # ``source`` names the folder: the report then lists files that no process imported too.
    watch = coverage.Coverage(data_file=data_file, branch=True, config_file=False, source=[str(parser.site)])
    watch.start()
    yield
    watch.stop()
    watch.save()


def main(spec: Mapping[str, Any]) -> None:
    """Run the batch of ``spec``; Python coverage goes to ``spec["python"]`` with the number of the process."""
    target = get_target(spec["target"])
    parser = registry.reopen(*spec["parser"])
    with _python_watched(parser, spec["python"] and f"{spec['python']}.{spec['process']}"):
        run = target.open(runtime.load(parser))
        limit_memory(target.memory_mb)
        batches.serve(spec, lambda _, data: run(data))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
