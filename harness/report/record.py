"""One defect record as the pages, the forms for machines and the text for upstream show it."""

from __future__ import annotations

import difflib
import re
from typing import Any

from harness.errors import HarnessError
from harness.findings.defects import Defect, Edit
from harness.parsers import fixes, registry, sources
from harness.report.text import cell, plain

UPSTREAM = "https://github.com/huggingface/safetensors"
_THREADS = {"issue": "issues", "PR": "pull"}


def about(defect: Defect) -> dict[str, Any]:
    """The record as plain types, for JSON."""
    names = (
        "name",
        "title",
        "harm",
        "controller",
        "use",
        "first",
        "regression",
        "wheel",
        "disputed",
        "cause",
        "impact",
    )
    lists = {name: list(getattr(defect, name)) for name in ("places", "threads", "findings")}
    told = {name: getattr(defect, name) for name in names}
    return told | lists | {"rank": defect.severity, "fix": bool(defect.edits), "record": str(defect.path)}


def named(defect: Defect | None) -> dict[str, Any]:
    """The fields by which a finding names its defect, in JSON: name and rank, null where no record names it."""
    return {"defect": defect and defect.name, "rank": defect and defect.severity}


def spans(text: str, most: int = 1200) -> list[tuple[str, bool]]:
    """A text of a record in pieces, each with whether it stands between backquotes, that is, is code."""
    return [(piece, bool(odd % 2)) for odd, piece in enumerate(re.split(r"`([^`]+)`", plain(text, most))) if piece]


def prose(text: str, most: int = 1200) -> str:
    """A text of a record in Markdown, in a paragraph or a table: code stays code, and nothing else is markup."""
    pieces = ((piece.replace("|", "\\|") if code else _cell(piece, most), code) for piece, code in spans(text, most))
    return "".join(f"`{piece}`" if code else piece for piece, code in pieces)


def _cell(text: str, most: int) -> str:
    """:func:`harness.report.text.cell`, where an underscore within a word stays as it is: there it is no markup."""
    return re.sub(r"(?<=[^\W_])\\_(?=[^\W_])", "_", cell(text, most))


def place_address(place: str) -> str:
    """The address of a ``file:line`` in upstream's repository, at the release that records speak of."""
    file, _, line = place.rpartition(":")
    return f"{UPSTREAM}/blob/v{registry.default_release()}/{sources.in_repository(file)}#L{line}"


def thread_address(thread: str) -> str:
    """The address of an upstream thread such as ``issue 825`` or ``PR 826``; "" where it is none of those."""
    found = re.fullmatch(r"(issue|PR) (\d+)", thread)
    return f"{UPSTREAM}/{_THREADS[found[1]]}/{found[2]}" if found else ""


def place_link(defect: Defect) -> str:
    """The first place in Markdown, with the name of the file alone."""
    place = defect.places[0]
    return f"[{place.rpartition('/')[2]}]({place_address(place)})"


def thread_links(defect: Defect) -> str:
    """The threads in Markdown; "" where none is known."""
    links = ((plain(thread), thread_address(thread)) for thread in defect.threads)
    return ", ".join(f"[{name}]({address})" if address else name for name, address in links)


def since(defect: Defect) -> str:
    """The first bad release, and whether an earlier one was right."""
    return defect.first + (" (regression)" if defect.regression else "")


def patch(defect: Defect, context: int = 3) -> str:
    """The edits as a patch of the newest release; as the replaced texts where its source, or an anchor, is not here."""
    parser = registry.read(registry.default_release())
    pieces = list[str]()
    for file in dict.fromkeys(edit.file for edit in defect.edits):
        edits = [edit for edit in defect.edits if edit.file == file]
        source = parser and sources.find(parser.source, file)
        there = sources.in_repository(file)
        pieces += (
            _diff(there, source.read_text(encoding="utf-8"), defect, edits, context)
            if source
            else _replaced(there, edits)
        )
    return "\n".join(pieces)


def _diff(file: str, old: str, defect: Defect, edits: list[Edit], context: int) -> list[str]:
    try:
        new = fixes.edited(old, [(defect.name, edit) for edit in edits], file)
    except HarnessError:
        return _replaced(file, edits)
    names = (f"a/{file}", f"b/{file}")
    return list(difflib.unified_diff(old.splitlines(), new.splitlines(), *names, n=context, lineterm=""))


def _replaced(file: str, edits: list[Edit]) -> list[str]:
    """The lines that each edit takes out and puts in."""
    found = [f"--- {file}"]
    for edit in edits:
        found += ["@@", *(f"-{line}" for line in edit.anchor.splitlines())]
        found += [f"+{line}" for line in edit.replacement.splitlines()]
    return found
