"""The ledger: one record per session of fuzzing, kept across campaigns.

A record is a file ``build/ledger/<id>.json``, written when its session has ended. A killed session is read from the
``campaign.json`` of its campaign. Records are a set by id: copy files into one folder to merge the ledgers of several
machines. A file that cannot be read is listed and skipped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import paths
from harness.errors import HarnessError
from harness.files import write_atomic

FORMAT = 1
KINDS = ("edges", "features", "semantic", "signatures")
"""Species: the parser's edges, libFuzzer's features, semantic features, signatures of findings."""
_LEVELS = {"edges": "edges", "features": "features", "semantic": "semantic_features"}
_COLUMNS = ("seconds", "cpu_seconds", "executions", "edges", "features", "semantic", "corpus", "signatures")


@dataclass(frozen=True, slots=True)
class Point:
    """A target at one moment of a session. Levels are totals, including the seeds."""

    seconds: float
    cpu_seconds: float
    executions: int
    edges: int
    features: int
    semantic: int
    corpus: int
    signatures: int


@dataclass(frozen=True, slots=True)
class Frequencies:
    """Species of one kind: ``seen`` in ``sampled`` executions, ``counts[i]`` of them in exactly ``i + 1``."""

    sampled: int
    seen: int
    counts: tuple[int, ...]
    every: int = 1

    @property
    def singletons(self) -> int:
        """Species that one sampled execution showed."""
        return self.counts[0] if self.counts else 0

    @property
    def doubletons(self) -> int:
        """Species that two showed."""
        return self.counts[1] if len(self.counts) > 1 else 0


@dataclass(frozen=True, slots=True)
class TargetRecord:
    """One target of a session. ``signatures`` are the ids of its findings, ``new`` the ids that are not known."""

    target: str
    executions: int
    cpu_seconds: float
    seconds: float
    levels: dict[str, int]
    curve: tuple[Point, ...] = ()
    species: dict[str, Frequencies] = field(default_factory=dict)
    signatures: tuple[str, ...] = ()
    new: tuple[str, ...] = ()

    def started_with(self, kind: str) -> int:
        """The level of the seeds; the final level without a curve, as then perhaps only the seeds ran."""
        return int(getattr(self.curve[0], kind)) if self.curve else self.levels[kind]


@dataclass(frozen=True, slots=True)
class Record:
    """One session. ``cpu_seconds`` are those of the workers; ``ended`` is "" for a session that was killed or still runs."""

    id: str
    started: str
    parser: str
    seed: int
    seconds: float
    cpu_seconds: float
    executions: int
    workers: int
    ended: str
    campaign: str
    targets: dict[str, TargetRecord]
    versions: dict[str, str] = field(default_factory=dict)
    replay_cpu_seconds: float = 0.0

    @property
    def spent(self) -> float:
        """CPU-seconds of the workers and of the replays of findings."""
        return self.cpu_seconds + self.replay_cpu_seconds


@dataclass(frozen=True)
class Ledger:
    """Records in the order of their start, and a line for each file that could not be read."""

    records: list[Record]
    damaged: list[str]

    def of(self, target: str) -> list[Record]:
        """The records that ran ``target``."""
        return [record for record in self.records if target in record.targets]

    def targets(self) -> list[str]:
        """All targets, by name."""
        return sorted({name for record in self.records for name in record.targets})


def folder() -> Path:
    """The folder of records."""
    return paths.build_dir() / "ledger"


def identity(session: Mapping[str, Any]) -> str:
    """The id of a session of ``campaign.json``: its start and a hash."""
    told = {name: session.get(name) for name in ("id", "started", "seed", "targets", "parser", "versions")}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    began = "".join(c for c in str(session["started"])[:19] if c.isalnum())
    return f"{began}-{digest[:8]}"


def keep(session: Mapping[str, Any], campaign: Path, into: Path | None = None) -> Path:
    """Write the record of a session that has ended; returns its file. Raises OSError."""
    target = into or folder()
    target.mkdir(parents=True, exist_ok=True)
    path = target / f"{identity(session)}.json"
    write_atomic(path, json.dumps(_compact(session, campaign)))
    return path


def keep_all(campaign: Path, into: Path | None = None) -> list[Path]:
    """Write the record of a campaign's last session, and of killed sessions without a record. Raises OSError."""
    target = into or folder()
    sessions, _ = _sessions(campaign / "campaign.json")
    missing = [session for session in sessions[:-1] if not (target / f"{identity(session)}.json").exists()]
    return [keep(session, campaign, target) for session in (*missing, *sessions[-1:])]


def read(*folders: Path) -> Ledger:
    """The records of ledgers and campaigns in ``folders``, each session once. Default: build/ledger and all campaigns.

    Raises HarnessError for a named folder without records.
    """
    asked = folders or (folder(), *sorted(path for path in paths.campaigns_dir().glob("*") if path.is_dir()))
    found: dict[str, Record] = {}
    damaged: list[str] = []
    for place in asked:
        files = sorted([*place.glob("*.json"), *place.glob("old-*/campaign.json")])
        if folders and not files:
            raise HarnessError(f"{place} holds no records", hint="name a campaign's folder, or a ledger's")
        for path in files:
            sessions, problem = _sessions(path)
            damaged += [f"{path}: {problem}"] if problem else []
            for session in sessions:
                try:
                    record = _parse(session, str(session.get("campaign", path.parent)))
                except (AttributeError, KeyError, TypeError, ValueError) as error:
                    damaged.append(f"{path}: {type(error).__name__}: {error}")
                    continue
                if record.id not in found or _weight(record) > _weight(found[record.id]):
                    found[record.id] = record
    return Ledger(sorted(found.values(), key=lambda record: (record.started, record.id)), damaged)


def entries(*folders: Path) -> list[Record]:
    """The records of :func:`read`, without the damaged files."""
    return read(*folders).records


def of_sessions(
    campaigns: Iterable[tuple[Path, Sequence[Mapping[str, Any]]]],
) -> tuple[list[list[Record]], list[str]]:
    """The records of each campaign's sessions, in their order, and a line for each damaged file of the ledger.

    A campaign has only the ends of the curves of older sessions; the project's ledger has them whole.
    """
    every = list(campaigns)
    folders = [place for place, sessions in every if any("started" in session for session in sessions)]
    if folders and any(folder().glob("*.json")):
        folders.append(folder())
    found = read(*folders) if folders else Ledger([], [])
    ids = [{identity(session) for session in sessions if "started" in session} for _, sessions in every]
    return [[record for record in found.records if record.id in mine] for mine in ids], found.damaged


def _weight(record: Record) -> tuple[int, int]:
    """Sort key: of two records of one session, the one with more data is larger."""
    return record.executions, sum(len(target.curve) for target in record.targets.values())


def _sessions(path: Path) -> tuple[list[dict[str, Any]], str]:
    """The sessions with figures in a campaign.json or in a record, and the fault of the file, if any."""
    try:
        raw = json.loads(path.read_text())
    except FileNotFoundError:
        return [], ""
    except (OSError, ValueError) as error:
        return [], f"{type(error).__name__}: {error}"
    of_campaign = path.name == "campaign.json"
    listed = raw.get("sessions") if of_campaign and isinstance(raw, dict) else None if of_campaign else [raw]
    if not isinstance(listed, list):
        return [], "no sessions in it"
    found = [entry for entry in listed if isinstance(entry, dict) and "started" in entry and "per_target" in entry]
    return found, "" if found or of_campaign else "no record of a session"


def _compact(session: Mapping[str, Any], campaign: Path) -> dict[str, Any]:
    """The record of a session: curves by column, findings without their display."""
    dropped = {"operators", "rules", "stages", "ns"}
    targets = {
        name: {key: value for key, value in figures.items() if key not in dropped}
        | {"curve": _columns(figures.get("curve", []))}
        for name, figures in session["per_target"].items()
    }
    findings = {
        name: {key: entry[key] for key in ("count", "known", "signature", "target") if key in entry}
        for name, entry in session.get("findings", {}).items()
    }
    outer = {key: value for key, value in session.items() if key not in {"per_target", "findings"}}
    return {"format": FORMAT, "campaign": str(campaign), **outer, "per_target": targets, "findings": findings}


def _columns(curve: Any) -> dict[str, list[float]]:
    if isinstance(curve, dict):
        return curve
    return {name: [point.get(name, 0) for point in curve] for name in _COLUMNS} if curve else {}


def _parse(session: Mapping[str, Any], campaign: str) -> Record:
    findings = session.get("findings", {})
    new = set(session.get("new", ()))
    targets = {}
    for name, figures in session["per_target"].items():
        ids = sorted(key for key, entry in findings.items() if entry.get("target", "") == name)
        targets[name] = TargetRecord(
            target=name,
            executions=int(figures["executions"]),
            cpu_seconds=float(figures.get("cpu_seconds", 0.0)),
            seconds=float(figures.get("seconds", 0.0)),
            levels={kind: int(figures.get(key, 0)) for kind, key in _LEVELS.items()} | {"signatures": len(ids)},
            curve=_points(_columns(figures.get("curve", []))),
            species=_species(figures.get("species", {})),
            signatures=tuple(ids),
            new=tuple(key for key in ids if key in new),
        )
    return Record(
        id=identity(session),
        started=str(session["started"]),
        parser=str(session.get("parser", "")),
        seed=int(session.get("seed", 0)),
        seconds=float(session.get("seconds", 0.0)),
        cpu_seconds=float(session.get("cpu_seconds", 0.0)),
        executions=int(session.get("executions", 0)),
        workers=int(session.get("workers", session.get("workers_started", 0))),
        ended=str(session.get("ended", "")),
        campaign=campaign,
        targets=targets,
        replay_cpu_seconds=float(session.get("replay_cpu_seconds", 0.0)),
        versions={key: str(value) for key, value in session.get("versions", {}).items()},
    )


def _points(columns: Mapping[str, list[float]]) -> tuple[Point, ...]:
    if not columns:
        return ()
    rows: Iterable[tuple[float, ...]] = zip(*(columns[name] for name in _COLUMNS), strict=True)
    return tuple(Point(row[0], row[1], *(int(value) for value in row[2:])) for row in rows)


def _species(raw: Mapping[str, Any]) -> dict[str, Frequencies]:
    return {
        kind: Frequencies(
            sampled=int(counts["sampled"]),
            seen=int(counts["seen"]),
            counts=tuple(int(c) for c in counts.get("frequencies", (counts["singletons"], counts["doubletons"]))),
            every=int(counts.get("every", 1)),
        )
        for kind, counts in raw.items()
    }
