"""Sizes as people write them, for the options that are one."""

from __future__ import annotations

import re
from typing import Any

import click

_UNITS = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}


class Size(click.ParamType[int]):
    """``2000000``, ``500k``, ``50M`` or ``1G``, in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes; fails on anything that is no size above zero."""
        match = re.fullmatch(r"(\d+)([kMG]?)B?", str(value))
        if match is None or int(match[1]) == 0:
            self.fail(f"{value!r} is no size; say for example 500k or 50M", param, ctx)
        return int(match[1]) * _UNITS[match[2]]
