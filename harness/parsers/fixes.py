"""Applies the edits of defect records to a source tree of the parser, all of them or none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from harness.errors import HarnessError
from harness.files import write_atomic
from harness.findings.defects import Edit
from harness.parsers import sources

_HINT = "correct the [[edits]] of the record: an anchor occurs once in the file as released"

# Start and end of a replaced text, the replacement, and the record that asks for it.
_Span = tuple[int, int, str, str]


class Change(Protocol):
    """A named change of the source: a defect record, or a planted bug."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def edits(self) -> Sequence[Edit]:
        """The edits that make it up."""


def ingredients(fixes: Sequence[Change]) -> list[list[str]]:
    """The edits of ``fixes`` as plain values, in an order that does not depend on that of the records."""
    return sorted([fix.name, edit.file, edit.anchor, edit.replacement] for fix in fixes for edit in fix.edits)


def touched(fixes: Sequence[Change]) -> list[str]:
    """The files that ``fixes`` edit, each once."""
    return list(dict.fromkeys(edit.file for fix in fixes for edit in fix.edits))


def apply(tree: Path, fixes: Sequence[Change]) -> None:
    """Edit the source in ``tree``. Anchors are looked up in the files as they are before any edit.

    Raises HarnessError naming record and file for a record without edits, a missing file, an anchor that does not occur
    once, and spans that overlap; no file is changed then.
    """
    asked: dict[Path, list[tuple[str, Edit]]] = {}
    for fix in fixes:
        if not fix.edits:
            raise HarnessError(
                f"the record {fix.name} has no edits", hint="leave it out, or add [[edits]] to the record"
            )
        for edit in fix.edits:
            path = sources.find(tree, edit.file)
            if path is None:
                raise HarnessError(f"the record {fix.name} edits {edit.file}, which the source lacks", hint=_HINT)
            asked.setdefault(path, []).append((fix.name, edit))
    texts = {
        path: edited(path.read_bytes().decode(), edits, path.relative_to(tree).as_posix())
        for path, edits in asked.items()
    }
    for path, text in texts.items():
        write_atomic(path, text)


def edited(text: str, edits: Iterable[tuple[str, Edit]], file: str) -> str:
    """The ``text`` of ``file`` after these edits, each with the name of its record. Raises HarnessError as :func:`apply`."""
    spans = sorted(_span(text, name, edit) for name, edit in edits)
    for (_, end, _, one), (start, _, _, other) in pairwise(spans):
        if start < end:
            records = f"the record {one}" if one == other else f"the records {one} and {other}"
            raise HarnessError(f"{records}: edits of {file} overlap", hint="choose shorter anchors")
    for start, end, replacement, _ in reversed(spans):
        text = text[:start] + replacement + text[end:]
    return text


def _span(text: str, name: str, edit: Edit) -> _Span:
    at = text.find(edit.anchor) if edit.anchor else -1
    if at < 0 or text.find(edit.anchor, at + 1) >= 0:
        # Occurrences may overlap each other, which str.count does not see.
        fault = "does not occur" if at < 0 else "occurs more than once"
        shown = edit.anchor if len(edit.anchor) <= 60 else edit.anchor[:57] + "..."
        raise HarnessError(f"the record {name}: its anchor {shown!r} {fault} in {edit.file}", hint=_HINT)
    return at, at + len(edit.anchor), edit.replacement, name
