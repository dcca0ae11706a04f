"""Inputs replayed on a coverage build, for what llvm-cov reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.coverage import batches
from harness.parsers.registry import Parser


def profiles(build: Parser, target: str, inputs: Sequence[bytes], folder: Path) -> list[Path]:
    """Replay ``inputs`` on all cores; the raw profiles, in ``folder``. Inputs that end their process leave none."""
    batches.run(
        "harness.coverage.replay",
        inputs,
        {"parser": build.name, "target": target, "python": ""},
        lambda process: {"LLVM_PROFILE_FILE": str(folder / f"{process}.profraw")},
        batch=max(250, -(-len(inputs) // batches.cores())),
        workers=batches.cores(),
    )
    return written(folder)


def written(folder: Path) -> list[Path]:
    """The raw profiles in ``folder``: a process that died leaves an empty one."""
    return [path for path in sorted(folder.glob("*.profraw")) if path.stat().st_size]
