"""The settings of one worker, a JSON file from the campaign to the worker process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.engine.worker.json_file import JsonFile

_PATIENCE = 4


@dataclass(frozen=True)
class WorkerSettings(JsonFile):
    """Settings of one atheris process.

    ``seconds`` and ``runs`` bound the run where they are above zero. ``seed_dirs`` are read, never written. ``campaign`` is the
    campaign's folder, ``memory`` a folder in a memory file system for this worker alone.

    Only the bench changes the following. ``mutator``: "bytes" is libFuzzer's own, "replay" repeats the inputs in ``record``.
    ``record``: the file for the inputs of the run. ``oracles`` and ``semantics`` switch those off. ``fork_server``: whether every
    input runs in the fork server, or none; None leaves it to the target. ``inner_loop``: whether several mutations may run per
    execution of libFuzzer. ``judge`` off leaves the oracle for panics and undocumented errors alone. ``schedule`` off gives all
    operators the same share. ``crossover`` off keeps programs from taking steps of others.
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
    inner_loop: bool = True
    judge: bool = True
    schedule: bool = True
    crossover: bool = True
    options: tuple[str, ...] = ()

    @property
    def patience(self) -> int:
        """How many of its target's timeouts a run may take. Runs of N executions repeat on a slow machine, too."""
        return _PATIENCE if self.runs else 1
