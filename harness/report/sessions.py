"""The records of the sessions that a report is about."""

from __future__ import annotations

from collections.abc import Sequence

from harness.ledger import records
from harness.ledger.records import Record
from harness.report.gather import Campaign


def kept(campaigns: Sequence[Campaign]) -> tuple[list[list[Record]], list[str]]:
    """The records of each campaign's sessions, in their order, and what the ledger passed over as damaged, in words.

    A campaign keeps of older sessions only the ends of their curves; the project's ledger has them whole.
    """
    folders = [one.folder for one in campaigns if one.sessions]
    if not folders:
        return [[] for _ in campaigns], []
    if any(records.folder().glob("*.json")):
        folders.append(records.folder())
    found = records.read(*folders)
    ids = [{records.identity(session) for session in one.sessions if "started" in session} for one in campaigns]
    return [[record for record in found.records if record.id in mine] for mine in ids], found.damaged
