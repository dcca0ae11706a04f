"""Options that several commands have, and the forms in which commands print."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.triage.minimize import Progress

FC = TypeVar("FC", bound=Callable[..., Any])
_UNITS = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}

#: A file or a folder, and a file.
PATH = click.Path(path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


class Size(click.ParamType[int]):
    """``2000000``, ``500k``, ``50M`` or ``1G``, in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes. Fails for anything that is no size above zero."""
        match = re.fullmatch(r"(\d+)([kMG]?)B?", str(value))
        if match is None or int(match[1]) == 0:
            self.fail(f"{value!r} is no size; say for example 500k or 50M", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


def as_json(text: str = "Print JSON instead of text.") -> Callable[[FC], FC]:
    """The option ``--json``, as the argument ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def parser(text: str = "Instrumented parser (see `harness build`).") -> Callable[[FC], FC]:
    """The option ``--parser``, as the argument ``parser``."""
    return click.option("--parser", metavar="NAME", help=text)


def targets(text: str = "Only this target; may be repeated.") -> Callable[[FC], FC]:
    """The option ``--target`` that may be repeated, as the argument ``targets``."""
    return click.option("--target", "targets", multiple=True, metavar="T", help=text)


def campaigns(text: str) -> Callable[[FC], FC]:
    """The option ``--campaign`` that may be repeated, as the argument ``folders``."""
    return click.option("--campaign", "folders", multiple=True, type=PATH, metavar="DIR", help=text)


def campaign(text: str = "Default: the latest campaign.") -> Callable[[FC], FC]:
    """The option ``--campaign``, as the argument ``campaign``."""
    return click.option("--campaign", type=PATH, metavar="DIR", help=text)


def sayer(as_json: bool) -> Callable[[str], None]:
    """Prints progress: to stdout, or to stderr where stdout is JSON."""
    return partial(click.echo, err=as_json)


def print_json(value: Any) -> None:
    """Print ``value`` as indented JSON."""
    click.echo(json.dumps(value, indent=1))


@contextlib.contextmanager
def shrinking(name: str) -> Iterator[Progress]:
    """Yields the progress callback of ``minimize``; prints nothing where stderr is no terminal."""
    shown = [0.0]
    live = sys.stderr.isatty()

    def progress(size: int, asked: int) -> None:
        now = time.monotonic()
        if live and now - shown[0] >= 0.1:
            shown[0] = now
            click.echo(f"\r\033[K{name}: {size} bytes after {asked} runs", err=True, nl=False)

    try:
        yield progress
    finally:
        if shown[0]:
            click.echo("\r\033[K", err=True, nl=False)
