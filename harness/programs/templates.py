"""Python source of reproducers: templates, and values as literals."""

from __future__ import annotations

import functools
import pprint
from importlib.resources import files
from typing import Any

BYTES_PER_LINE = 48


@functools.cache
def _template(package: str, name: str) -> Any:
    # Imported here: workers load this module with a subject, and write no reproducer.
    import jinja2

    text = (files(package) / name).read_text(encoding="utf-8")
    return jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True).from_string(text)  # noqa: S701 - Python, no HTML


def render(package: str, name: str, **values: object) -> str:
    """The template ``name`` in the folder of ``package``, with ``values``. Raises UndefinedError for a missing value."""
    text: str = _template(package, name).render(values)
    return text


def bytes_literal(data: bytes) -> str:
    """Source of ``data``, in lines of ``BYTES_PER_LINE`` bytes."""
    lines = [data[at : at + BYTES_PER_LINE] for at in range(0, len(data), BYTES_PER_LINE)] or [b""]
    return "(\n" + "".join(f"    {line!r}\n" for line in lines) + ")"


def wrapped(value: object) -> str:
    """Source of a plain value, in lines of at most 110 characters, in the order of its members."""
    return pprint.pformat(value, width=110, compact=True, sort_dicts=False)
