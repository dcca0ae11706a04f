"""The table of the public API: the targets that drive each part of it, by what they vary and check.

Targets declare it in ``drives`` (:class:`harness.targets.base.Target`). A cell without a target has a reason of :data:`REASONS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from harness.errors import HarnessError
from harness.targets.base import Target

#: The columns, each with the question that its targets answer.
COLUMNS: dict[str, str] = {
    "values": "Are dtypes, shapes, contents, names and metadata right, also of odd arguments?",
    "layout": "Is the answer right for every layout of arrays in memory, order and place in the file, or form of an index?",
    "state": "Is it right in every state of the handle, and within ambient states of the process?",
    "file": "Is it right for every kind of file and path, and for a file that changes meanwhile?",
    "size": "Is it right for lengths, counts and ranks up to the limits of the format?",
    "thread": "Is it right while other threads or processes make calls?",
    "framework": "Is it right for each framework that the call serves?",
}


class Reason(NamedTuple):
    """Why no target drives some cells: those in the rows that match a glob of ``rows``, and in ``columns``."""

    words: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]


_BYTES = ("deserialize", "serialize", "*.save", "*.load")
_HEADER = ("*.keys", "*.offset_keys", "*.metadata", "*.get_shape", "*.get_dtype", "*.__enter__", "*.__exit__")
#: The first reason that fits a cell counts.
REASONS: tuple[Reason, ...] = (
    Reason("a helper that save and save_file call", ("torch.storage_ptr", "torch.storage_size"), tuple(COLUMNS)),
    Reason("it takes no file", (*_BYTES, "TensorSpec*", "SafetensorError"), ("file",)),
    Reason(
        "it takes and gives no arrays of a framework",
        ("deserialize", "serialize*", "TensorSpec*", "SafetensorError", *_HEADER),
        ("framework",),
    ),
    Reason(
        "it has no arrays and no index", ("TensorSpec*", "SafetensorError", "*.__enter__", "*.__exit__"), ("layout",)
    ),
    Reason("an exception without data", ("SafetensorError",), ("size", "state", "thread")),
    Reason("a value that never changes", ("TensorSpec*",), ("state", "size", "thread")),
    Reason(
        "it looks at the handle alone", ("*.__enter__", "*.__exit__", "*.get_dtype", "*.get_shape"), ("size", "thread")
    ),
    Reason(
        "the same code as the method of safe_open",
        ("_safe_open_handle*",),
        ("values", "layout", "size", "thread", "framework"),
    ),
    Reason(
        "it converts arrays and calls safetensors.numpy",
        ("flax.*", "tensorflow.*", "mlx.*"),
        ("layout", "state", "file", "size", "thread"),
    ),
)

Cells = Mapping[tuple[str, str], tuple[str, ...]]


def cells(rows: Iterable[str], targets: Iterable[Target]) -> Cells:
    """The names of the targets of each cell, by (row, column), as the targets declare them.

    Raises HarnessError where a target names a column that does not exist, or a part that no row matches.
    """
    rows = list(rows)
    found: dict[tuple[str, str], tuple[str, ...]] = {(row, column): () for row in rows for column in COLUMNS}
    for target in targets:
        declared: set[tuple[str, str]] = set()
        for columns, globs in target.drives:
            for column in columns.split():
                if column not in COLUMNS:
                    words = f"target {target.name} names the column {column!r}, which the table of the API lacks"
                    raise HarnessError(words, hint=f"columns: {', '.join(COLUMNS)}")
            for glob in globs.split():
                matching = [row for row in rows if fnmatchcase(row, glob)]
                if not matching:
                    words = f"target {target.name} drives {glob!r}, which is no part of the public API"
                    raise HarnessError(
                        words, hint="name a row of the table in docs/targets.md, or use a glob over rows"
                    )
                declared |= {(row, column) for row in matching for column in columns.split()}
        for cell in declared:
            found[cell] += (target.name,)
    return found


def reason(row: str, column: str) -> int:
    """The number of the reason, from 1, for a cell without a target. Raises HarnessError where there is none."""
    for number, one in enumerate(REASONS, 1):
        if column in one.columns and any(fnmatchcase(row, glob) for glob in one.rows):
            return number
    words = f"no target drives {row} in the column {column!r}, and no reason says why"
    raise HarnessError(words, hint="declare the cell in the field drives of a target, or add a reason to REASONS")


def table(rows: Iterable[str], targets: Iterable[Target]) -> str:
    """The table in Markdown: columns, rows, and the reasons of the cells without a target. Raises HarnessError; see :func:`cells`."""
    rows = list(rows)
    found = cells(rows, targets)
    used: set[int] = set()
    lines: list[str] = [f"| API | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row in rows:
        written = []
        for column in COLUMNS:
            names = found[row, column]
            if not names:
                used.add(reason(row, column))
            written.append(", ".join(names) or f"({reason(row, column)})")
        lines.append(f"| `{row}` | {' | '.join(written)} |")
    lines += ["", *(f"- {column}: {question}" for column, question in COLUMNS.items())]
    lines += [
        "",
        "Why no target drives a cell:",
        "",
        *(f"- ({number}) {REASONS[number - 1].words}" for number in sorted(used)),
    ]
    return "\n".join(lines) + "\n"
