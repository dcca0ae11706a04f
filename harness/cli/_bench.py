"""Options and results of all ``harness bench`` commands."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from harness import paths
from harness.cli import _options
from harness.cli._options import FC
from harness.cli.fuzz import Duration
from harness.errors import HarnessError
from harness.files import write_atomic

as_json = _options.as_json("Print everything as JSON at the end.")


def count(name: str, least: int, most: int, default: int, text: str) -> Callable[[FC], FC]:
    return click.option(name, type=click.IntRange(least, most), default=default, show_default=True, help=text)


def time(default: str) -> Callable[[FC], FC]:
    return click.option(
        "--time", "seconds", type=Duration(), default=default, show_default=True, help="Of each campaign."
    )


def only(option: str, name: str, text: str) -> Callable[[FC], FC]:
    return click.option(option, name, multiple=True, metavar="NAME", help=f"Only this {text}; may be repeated.")


def known(kind: str, names: Iterable[str], every: Iterable[str], hint: str) -> None:
    if strange := sorted(set(names) - set(every)):
        raise HarnessError(f"no {kind} is called {strange[0]!r}", hint=hint)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def about() -> dict[str, str]:
    """Command, date and machine of a measurement."""
    return {"command": shlex.join(["harness", *sys.argv[1:]]), "at": now(), "machine": _machine()}


def _machine() -> str:
    rows = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
    model = next((value.strip() for name, _, value in rows if name.strip() == "model name"), platform.machine())
    return f"{model}, {len(os.sched_getaffinity(0))} cores, CPython {platform.python_version()}"


def keep(name: str, result: dict[str, Any], as_json: bool) -> None:
    """Merge into the stored result, so that parts can be measured one at a time; print the result as JSON if asked."""
    result = {"about": about(), **result}
    path = paths.build_dir() / "bench" / f"{name}.json"
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        stored = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(stored | result, indent=1))
    if as_json:
        _options.print_json(result)
