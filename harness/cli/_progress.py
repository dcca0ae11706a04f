"""One line on the terminal while something is being minimised."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

import click

from harness.triage.minimize import Progress

_EVERY_S = 0.1


@contextlib.contextmanager
def shrinking(name: str) -> Iterator[Progress]:
    """Yields what ``minimize`` calls; shows nothing where stderr is no terminal."""
    shown = [0.0]
    live = sys.stderr.isatty()

    def progress(size: int, asked: int) -> None:
        now = time.monotonic()
        if live and now - shown[0] >= _EVERY_S:
            shown[0] = now
            click.echo(f"\r\033[K{name}: {size} bytes after {asked} runs", err=True, nl=False)

    try:
        yield progress
    finally:
        if shown[0]:
            click.echo("\r\033[K", err=True, nl=False)
