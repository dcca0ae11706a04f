"""Arguments of calls that save a file: names of tensors and metadata, by number, and as Python source."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from harness.mutate.conventions import CONVENTIONS
from harness.mutate.resemblance import resembling

#: Names by number, as source; from :data:`ODD_NAMES` on, no file can hold the name.
NAMES: tuple[str, ...] = (
    "'a'", "'b'", "'c'", "'weight'", "'model.layers.0.q'", "''", "'é'", "'a b'", "'quo\"te'", r"'back\\slash'",
    r"'new\nline'", r"'nul\0'", r"'\u2028'", "'\U0001f917'", "'dtype'", "'__metadata'", "'x' * 600",
    "'__metadata__'", r"'\ud800'", "1", "None", "b'a'", "('a',)", "True", r"'a\udcff'",
)  # fmt: skip
ODD_NAMES = 17
RESERVED = "'__metadata__'"
#: Keys and values of metadata by number, as source.
KEYS = ("'format'", "'a'", "'b'", "''", "'é'", "'quo\"te'", "'__metadata__'", "'x' * 40", r"'nul\0'", "'dtype'")
VALUES = ("'pt'", "''", "'é'", r"'\n\"\\'", "'y' * 2000", r"'\0'", "'{}'", "'\U0001f917'")
#: Metadata by number, as source. None stands for the entries of the program; from :data:`ODD_METADATA` on it is invalid.
METADATA: tuple[str | None, ...] = (
    None, "{}", "{str(n): 'x' for n in range(64)}", "{'a': 'x' * 10_000}",
    "{'a': 1}", "{1: 'a'}", r"{'\ud800': 'a'}", r"{'a': '\ud800'}", "[]", "'text'", "{'a': None}", "{'a': b'x'}", "1",
)  # fmt: skip
ODD_METADATA = 4
#: Python documents these errors for a value of a wrong type, and for an impossible value of the right one: docs/oracles.md.
CONVENTION: tuple[type[BaseException], ...] = (TypeError, ValueError, OverflowError)


class Metadata(NamedTuple):
    """Metadata as source and value; ``sound`` where a file can hold it."""

    source: str
    value: Any
    sound: bool


@lru_cache(1 << 10)
def name(source: str) -> Any:
    """The value of a name of :data:`NAMES`."""
    return eval(source)  # noqa: S307 - text of the tables above


#: Entries of real checkpoints by number, as source of key and value.
CONVENTIONAL = tuple((repr(one.key), repr(one.value)) for one in CONVENTIONS)
#: An entry of metadata: the numbers of key and value, or their source.
Entry = tuple[int | str, int | str]


@lru_cache(1 << 12)
def metadata_of(form: int, entries: tuple[Entry, ...]) -> Metadata:
    """Metadata of a form of :data:`METADATA`, or of entries: pairs of a key and a value, each by number or as source."""
    source = METADATA[form]
    if source is None:
        row = {
            key if isinstance(key, str) else KEYS[key]: value if isinstance(value, str) else VALUES[value]
            for key, value in entries
        }
        source = "{" + ", ".join(f"{key}: {value}" for key, value in row.items()) + "}" if row else "None"
    return Metadata(source, eval(source), form < ODD_METADATA)  # noqa: S307 - text of the tables above


#: Names that no file can hold, with the words of their signatures.
UNSPEAKABLE: dict[Any, str] = {
    name(source): "name/__metadata__" if source == RESERVED else "name" for source in NAMES[ODD_NAMES:]
}


#: How many names back a name of :func:`names` may resemble.
BACK = 4


def alike(source: str, number: int) -> str:
    """Source of a name that resembles another one; where no file can hold that, of one that resembles the first of NAMES."""
    other = name(source)
    found = resembling(other if isinstance(other, str) and other not in UNSPEAKABLE else name(NAMES[0]))
    return repr(found[number % len(found)])


def names(numbers: Iterable[int]) -> list[str]:
    """The source of names by number. From ``len(NAMES)`` on, a name resembles one of the up to BACK names before it."""
    found: list[str] = []
    for number in numbers:
        if number < len(NAMES):
            found.append(NAMES[number])
        else:
            which, back = divmod(number - len(NAMES), BACK)
            found.append(alike(found[-1 - back % len(found)] if found else NAMES[0], which))
    return found
