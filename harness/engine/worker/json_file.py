"""Dataclasses of strings, numbers, paths and tuples as JSON files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Self, get_args, get_origin, get_type_hints

from harness.errors import HarnessError
from harness.files import write_atomic


class JsonFile:
    """Base of a dataclass that is stored as a JSON file."""

    def save(self, path: Path) -> None:
        """Write to ``path`` atomically."""
        write_atomic(path, json.dumps(dataclasses.asdict(self), default=str, indent=1))  # type: ignore[call-overload]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote. Raises HarnessError when the file is none."""
        try:
            raw = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise cls._unreadable(path, error) from error
        return cls.of(raw, path)

    @classmethod
    def of(cls, raw: Any, source: object) -> Self:
        """The value of parsed JSON. Raises HarnessError, which names ``source``, where it is none."""
        hints = get_type_hints(cls)
        try:
            if unknown := raw.keys() - hints.keys():
                raise HarnessError(f"{source} has an unknown field {min(unknown)!r}", hint=_hint(cls))
            return cls(**{name: _value(hints[name], value) for name, value in raw.items()})
        except (ValueError, AttributeError, TypeError) as error:
            raise cls._unreadable(source, error) from error

    @classmethod
    def _unreadable(cls, source: object, error: Exception) -> HarnessError:
        return HarnessError(f"{source} cannot be read: {error}", hint=_hint(cls))


def _hint(kind: type) -> str:
    return f"write it with {kind.__name__}.save"


def _value(hint: Any, value: Any) -> Any:
    """``value`` in the type ``hint``; lists in a dict become tuples."""
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], one) for one in value)
    if get_origin(hint) is dict:
        return {name: tuple(one) if isinstance(one, list) else one for name, one in value.items()}
    return Path(value) if value is not None and Path in (hint, *get_args(hint)) else value
