"""The settings of one worker, a JSON file from the campaign to the worker process."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.files import write_atomic


@dataclass(frozen=True)
class WorkerSettings:
    """Settings of one atheris process.

    ``seconds`` and ``runs`` bound the run where they are above zero. ``seed_dirs`` are read, never written. ``campaign`` is the
    campaign's folder, ``memory`` a folder in a memory file system for this worker alone.

    Only the bench changes the following. ``mutator``: "bytes" is libFuzzer's own, "replay" repeats the inputs in ``record``.
    ``record``: the file for the inputs of the run. ``oracles`` and ``semantics`` switch those off. ``fork_server``: whether every
    input runs in the fork server, or none; None leaves it to the target.
    """

    target: str
    parser: str | None
    seed: int
    campaign: Path
    memory: Path
    log: Path
    seed_dirs: tuple[Path, ...] = ()
    runs: int = 0
    seconds: float = 0.0
    disabled: tuple[str, ...] = ()
    mutator: Literal["grammar", "bytes", "replay"] = "grammar"
    oracles: bool = True
    semantics: bool = True
    refused_sample: int = 128
    guards: tuple[str, ...] = ()
    record: Path | None = None
    fork_server: bool | None = None
    options: tuple[str, ...] = field(default=())

    def save(self, path: Path) -> None:
        """Write to ``path`` atomically."""
        write_atomic(path, json.dumps(dataclasses.asdict(self), default=str, indent=1))

    @classmethod
    def load(cls, path: Path) -> WorkerSettings:
        """Read what :meth:`save` wrote."""
        raw = json.loads(path.read_text())
        for name in ("campaign", "memory", "log"):
            raw[name] = Path(raw[name])
        raw["record"] = Path(raw["record"]) if raw["record"] else None
        raw["seed_dirs"] = tuple(Path(p) for p in raw["seed_dirs"])
        for name in ("disabled", "guards", "options"):
            raw[name] = tuple(raw[name])
        return cls(**raw)
