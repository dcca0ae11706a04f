"""The little TOML we keep: read with an error that names the line, written by hand."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from harness.errors import HarnessError

Value = str | int | float | bool | list[str] | list[int]


def loads(text: str, source: str, hint: str) -> dict[str, Any]:
    """The table that ``text`` holds. Raises HarnessError naming ``source`` and the line where it is damaged."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # tomllib ends in "(at line 3, column 9)", or, where a file was cut short, in "(at end of document)".
        last = f"(at line {text.count(chr(10)) + 1}, where the file ends)"
        raise HarnessError(f"{source} is damaged: {str(error).replace('(at end of document)', last)}", hint) from error


def _text(value: str) -> str:
    # JSON's escapes are TOML's, except that TOML wants DEL escaped and knows no lone surrogate.
    clean = value.encode("utf-8", "backslashreplace").decode()
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Value) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return str(value)


def dumps(table: Mapping[str, Value | Mapping[str, Value]]) -> str:
    """TOML of a table of plain values and, one level deep, of tables of plain values."""
    lines = [f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{key}]"]
            lines += [f"{name} = {_value(item)}" for name, item in value.items()]
    return "\n".join(lines) + "\n"
