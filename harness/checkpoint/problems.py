"""The problems that ``harness check`` can find, each with a stable code. docs/check.md lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.foreign_files import ForeignFile
from harness.report.text import plain

#: Names that one problem quotes at most; more are counted.
_QUOTED = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its stable code, what is wrong, and the user's next step.

    ``unread`` marks a kind that leaves something unchecked: the exit status is then 2.
    """

    code: str
    title: str
    advice: str
    unread: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. ``file`` is the path it is reported at. ``advice`` is the kind's own, or one that fits the case better."""

    kind: Kind
    file: str
    what: str
    advice: str = ""

    def line(self, file: str = "") -> str:
        """Code, ``file`` if given, problem and advice in one line without control characters."""
        at = f"{plain(file, 300)}: " if file else ""
        return f"{self.kind.code}: {at}{plain(self.what, 800)}. To do: {plain(self.advice or self.kind.advice, 300)}."


_AGAIN = "download the file again, or ask its author to save it again"
_SAVE = "save the checkpoint again into an empty folder, or download it again"

REFUSED = Kind("file-refused", "The file breaks a rule of the format", _AGAIN)
UNSPECIFIED = Kind("file-unspecified", "Readers may take the file in different ways", "ask its author to save it again")
DISAGREE = Kind(
    "parsers-disagree",
    "A parser reads the file otherwise than the format says",
    "run harness explain on the file, and do not load it with that parser",
)
FAILS = Kind("parser-fails", "A parser crashes, hangs or panics on the file", "do not load the file")
NOT_A_FILE = Kind("not-a-file", "The name belongs to a folder, a pipe or a device", "put the file itself there")
BROKEN_LINK = Kind("broken-link", "The link leads to no file", "download the file that it leads to again")
UNREAD = Kind("cannot-read", "The file or folder cannot be read", "make it readable, and check again", unread=True)
CHANGED = Kind(
    "changed-while-read",
    "The file changed while it was read",
    "wait until it is written, and check again",
    unread=True,
)
INDEX_LARGE = Kind(
    "index-too-large",
    "The index is too large to be read",
    "split the checkpoint, or write a smaller index",
    unread=True,
)
INDEX_JSON = Kind("index-not-json", "The index is no JSON", "download the index again")
INDEX_TYPES = Kind(
    "index-types",
    "The index has values of a wrong type",
    "download the index again, or ask its author to save it again",
)
INDEX_TWICE = Kind(
    "index-duplicate-key", "The index has a key twice", "download the index again, or ask its author to save it again"
)
INDEX_PATH = Kind(
    "index-path",
    "The index names a file outside its folder",
    "do not load it: its index can make a loader open files elsewhere",
)
INDEX_STALE = Kind(
    "index-stale", "The files of the index are gone, and a single file lies beside it", "delete the index if the single file is the checkpoint"
)  # fmt: skip
TWO = Kind(
    "single-and-sharded", "A single file lies beside shards with an index", "delete the one that is old: readers differ in which they load"
)  # fmt: skip
SHARD_MISSING = Kind("shard-missing", "A file that the index names is not there", "download the missing files")
SHARD_UNNAMED = Kind(
    "shard-unnamed", "The index does not name this shard", "delete it if it is left from an earlier save: some readers load it"
)  # fmt: skip
SHARD_GAP = Kind("shard-gap", "The numbers of the shards have gaps", "download the missing files")
NO_INDEX = Kind("index-missing", "Shards have no index", "download the index, or save the checkpoint again")
NAME_MISSING = Kind("name-missing", "The index names a tensor that no shard has", _SAVE)
NAME_ELSEWHERE = Kind("name-elsewhere", "A tensor is in another shard than the index says", _SAVE)
NAME_TWICE = Kind("name-doubled", "Two shards have a tensor of the same name", _SAVE)
NAME_UNMAPPED = Kind("name-unmapped", "A shard has a tensor that the index does not name", _SAVE)
TOTAL_SIZE = Kind(
    "total-size",
    "The total_size of the index is wrong",
    "the tensors are not affected: ask its author to save it again",
)
MEMBER = Kind("quantisation-member", "A quantised weight lacks one of its tensors", "quantise the model again")
SHAPE = Kind(
    "quantisation-shape", "The tensors of a quantised weight do not fit each other", "quantise the model again"
)

KINDS: dict[str, Kind] = {kind.code: kind for kind in list(globals().values()) if isinstance(kind, Kind)}
"""All kinds by code."""


def refused(kind: Kind, path: str, what: str, foreign: ForeignFile | None) -> Problem:
    """The problem of a file or index that is refused. The name of another format says more than a broken rule."""
    if foreign is None:
        return Problem(kind, path, what)
    # A file that seems to be cut off may have a false offset instead.
    told = f"{foreign.what} ({what})" if foreign.kind == "truncated" else foreign.what
    return Problem(kind, path, told, foreign.advice)


def names(items: Sequence[str]) -> str:
    """Names of tensors, quoted and shortened: ``'a', 'b', 'c' and 12 more``."""
    shown = ", ".join(repr(plain(name, 120)) for name in items[:_QUOTED])
    return f"{shown} and {len(items) - _QUOTED} more" if len(items) > _QUOTED else shown
