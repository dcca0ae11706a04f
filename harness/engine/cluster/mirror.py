"""Keeps a campaign's folder in step with its store, so that every other command works on the folder as on one machine.

The driver stores the seeds of its targets at the start, and gets findings while the campaign runs. Sessions of the ledger and inputs
come at its beginning and at its end. Several drivers share a campaign without a list of targets: they share inputs, and each has its
own sessions and the findings of its own units.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import corpus_store
from harness.engine.campaign import folder
from harness.engine.campaign.shared_unit import identity
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.findings import store
from harness.findings.finding import Finding
from harness.foreign_json import number
from harness.parsers import parcel
from harness.parsers.registry import Parser
from harness.store import records
from harness.store.objects import Objects
from harness.store.shared_corpus import SharedCorpus

# Fields of finding.json that :func:`store.add` sets by itself, and those that a host may add.
_MORE = ("replays", "flaky", "guard")


class Mirror:
    """The mirror of a store in the folder ``place``. ``host`` names the driver there."""

    def __init__(self, objects: Objects, place: Path, parser: Parser, host: str) -> None:
        self.objects = objects
        self.content = parser.content
        self._place, self._parser, self._host = place, parser, host
        # Whether other drivers have sessions and findings of their own in the store.
        self._shared = False
        self._sizes: dict[str, int] = {}
        self._corpora: dict[str, SharedCorpus] = {}

    def join(self, targets: Sequence[str]) -> None:
        """Join the campaign in the store. Raises HarnessError: another campaign's store, or one that cannot be used."""
        there = records.join(self.objects, identity(self._parser, tuple(sorted(targets))), targets)
        self._shared = not there.targets
        records.check_clock(self.objects, self._host)

    def begin(self, targets: Mapping[str, tuple[Path, ...]]) -> None:
        """Store parser and seeds, and get what the store has. ``targets``: the folders of seeds by target. Raises HarnessError."""
        parcel.offer(self.objects, self._parser)
        self._sizes = {stored.id: stored.size for stored in store.findings(self._place)}
        for target, folders in targets.items():
            corpus = self._corpora[target] = SharedCorpus(self.objects, target, self.content)
            there = corpus.fresh()
            there |= corpus.adopt(there, self._host)
            own = dict(seed for one in folders for seed in corpus_store.list_seeds(one).seeds)
            corpus.push({name: data for name, data in own.items() if name not in there}, self._host)
            self._save(target, there - own.keys())
        self.get((), ())

    def _save(self, target: str, names: Iterable[str]) -> None:
        """Get inputs that the folder lacks."""
        place = self._place / "corpus" / target
        for _, data in self._corpora[target].fetch([name for name in names if not (place / name).is_file()]):
            corpus_store.add(place, data, durable=False)

    def get(self, targets: Iterable[str], own: Collection[str]) -> None:
        """Get new and smaller findings, and the inputs of ``targets``. Raises HarnessError.

        ``own``: ids of the findings of this driver's units.
        """
        for about, data in records.get_findings(self.objects, self._sizes, own if self._shared else None):
            finding = Finding.of_signature(about["signature"], about["oracle"], about["summary"])
            more = {name: about[name] for name in _MORE if name in about}
            figures = {name: number(about.get(name)) for name in ("seed", "execution", "seconds")}
            store.add(self._place, finding, data, parser=self._parser.name, count=0,
                      seed=int(figures["seed"]), execution=int(figures["execution"]), seconds=figures["seconds"])  # fmt: skip
            store.update(store.finding_at(self._place / "findings" / finding.id), **more)
            self._sizes[finding.id] = len(data)
        for target in targets:
            self._save(target, self._corpora[target].fresh())

    def replayed(self, findings: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the numbers of replays that hosts report, by id of the finding."""
        for name, entry in findings.items():
            fields = {key: entry[key] for key in ("replays", "flaky") if key in entry}
            place = self._place / "findings" / name
            if fields and (place / store.ABOUT).is_file():
                stored = store.finding_at(place)
                if any(stored.fields.get(key) != value for key, value in fields.items()):
                    store.update(stored, **fields)

    def sessions(self) -> None:
        """Make folder and store know the same sessions of the ledger; in a shared campaign, the store those of the folder."""
        own = store.sessions(self._place)
        known = {str(session.get("id")) for session in own}
        for session in own:
            with contextlib.suppress(HarnessError, KeyError):
                records.put_session(self.objects, session)
        if self._shared:
            return
        if theirs := records.get_sessions(self.objects, known):
            both = sorted([*own, *theirs], key=lambda session: str(session.get("started")))
            words = json.dumps({"format": folder.FORMAT, "sessions": both})
            write_atomic(self._place / folder.LEDGER, words + "\n")
