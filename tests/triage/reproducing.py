"""Reproducers as users run them."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from harness.findings import crashes
from harness.parsers.registry import Parser
from tests.waiting import LONG


def run(folder: Path, parser: Parser, tmp_path: Path) -> tuple[int, str]:
    """Exit status and output of the reproducer in ``folder``, with ``parser`` alone to import."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(parser.site)}
    done = subprocess.run(
        [sys.executable, str(folder / crashes.REPRODUCER)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=LONG,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@functools.cache
def kit() -> ModuleType:
    """The helpers of reproducers, in this process, which they do not end."""
    path = Path(__file__).parents[2] / "crashes" / "_kit.py"
    spec = importlib.util.spec_from_file_location("_kit", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    hook = sys.excepthook
    spec.loader.exec_module(module)
    sys.excepthook = hook
    module._ENDED.append("")
    return module
