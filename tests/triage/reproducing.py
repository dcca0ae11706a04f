"""Reproducers as users run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
