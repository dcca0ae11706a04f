"""``harness bench checkpoints``: whole checkpoints as libraries write them, sound and broken, before ``harness check``.

A sound checkpoint with a problem is a false alarm. A broken one is diagnosed when a problem has the right code, and names
the right file and tensor; the breakage says which these are.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.bench.checkpoints.breakages import Breakage, Expected
from harness.bench.checkpoints.layout import Layout
from harness.bench.runner import Say
from harness.errors import EngineError, HarnessError

#: Problems of one diagnosis beyond which a person no longer sees the cause.
FEW = 3


@dataclass(frozen=True)
class Told:
    """One problem that ``harness check`` told: the file it is told of, its code, and its text with the advice."""

    file: str
    code: str
    text: str


@dataclass
class Trial:
    """One checkpoint before ``harness check``; ``breakage`` and ``fault`` are "" for a sound one."""

    checkpoint: str
    folder: str
    breakage: str = ""
    fault: str = ""
    told: list[Told] = field(default_factory=list)
    right: bool = False


def write(folder: Path, libraries: Path | None, names: Sequence[str], say: Say) -> list[str]:
    """Write the named checkpoints in a process with ``libraries`` on its path. Returns those that could not be written."""
    shown = [os.fspath(Path(__file__).parents[3]), *([os.fspath(libraries.resolve())] if libraries else [])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(shown)}
    command = [sys.executable, "-m", "harness.bench.checkpoints.write", os.fspath(folder), *names]
    folder.mkdir(parents=True, exist_ok=True)
    failed, done = [], 0
    with (
        (folder / "write.log").open("w") as log,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as child,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            one, done = json.loads(line), done + 1
            if one["error"]:
                failed.append(one["name"])
            say(f"  {done} of {len(names)}: {one['name']}{': ' + one['error'] if one['error'] else ''}")
    if done < len(names):
        raise EngineError(f"the writer ended after {done} of {len(names)} checkpoints", hint=f"see {folder}/write.log")
    return failed


def sound(folder: Path, layouts: Iterable[Layout]) -> list[Trial]:
    """Check every checkpoint as it was written."""
    trials = [Trial(one.name, os.fspath(folder / one.name / one.inside)) for one in layouts]
    status = _check(trials)
    for trial in trials:
        trial.right = not trial.told
    _agree(status, int(any(trial.told for trial in trials)))
    return trials


def broken(folder: Path, scratch: Path, cases: Iterable[tuple[Breakage, Iterable[Layout]]]) -> list[Trial]:
    """Break checkpoints, and check all of them in one run. Copies lie below ``scratch``; the caller deletes them.

    A checkpoint that has nothing of what a breakage breaks gives no trial.
    """
    trials, wanted = [], []
    for breakage, layouts in cases:
        for layout in layouts:
            copy = scratch / breakage.name / layout.name
            shutil.copytree(folder / layout.name, copy, symlinks=True)
            expected = breakage.apply(copy / layout.inside, random.Random(f"{layout.name}/{breakage.name}"))
            if expected is None:
                shutil.rmtree(copy)
                continue
            trials.append(Trial(layout.name, os.fspath(copy / layout.inside), breakage.name, breakage.fault))
            wanted.append((breakage, expected))
    if trials:
        status = _check(trials)
        for trial, (breakage, expected) in zip(trials, wanted, strict=True):
            trial.right = any(_fits(told, breakage, expected) for told in trial.told)
        _agree(status, int(any(trial.told for trial in trials)))
    return trials


def _fits(told: Told, breakage: Breakage, expected: Expected) -> bool:
    text = f"{told.file} {told.text}"
    return (
        told.code == breakage.code
        and (not breakage.says or any(word in told.text for word in breakage.says))
        and any(
            os.path.samefile(path.parent, os.path.dirname(told.file)) and path.name in text for path in expected.files
        )
        and (not expected.tensors or any(name in told.text for name in expected.tensors))
    )


def _check(trials: Sequence[Trial]) -> int:
    """Run ``harness check`` on all folders, store what it told of each, and return its exit status."""
    command = [sys.executable, "-m", "harness", "check", "--json", *(trial.folder for trial in trials)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1, 2} or not done.stdout:
        raise EngineError(f"harness check ended with {done.returncode}: {done.stderr[-500:]}", hint="run it by hand")
    rows = json.loads(done.stdout)
    for trial in trials:
        within = trial.folder + os.sep
        trial.told = [
            Told(row["file"], one["code"], f"{one['what']}; {one['advice']}")
            for row in rows
            if row["file"].startswith(within)
            for one in row["problems"]
        ]
    return done.returncode


def _agree(status: int, wanted: int) -> None:
    if status != wanted:
        raise HarnessError(f"harness check ended with {status}, and its problems call for {wanted}", hint="report it")


@dataclass(frozen=True)
class Measured:
    """Result: names of ``failed`` checkpoints, which no library could write, and all trials."""

    failed: list[str]
    trials: list[Trial]

    @property
    def good(self) -> bool:
        """Whether all were written, no sound one has a problem, and all broken ones are diagnosed."""
        return not self.failed and all(trial.right for trial in self.trials)

    def unclear(self) -> list[Trial]:
        """Diagnoses that hold the cause among many other problems."""
        return [trial for trial in self.trials if trial.breakage and trial.right and len(trial.told) > FEW]

    def lines(self) -> Iterator[str]:
        """The figures for people: a line per breakage, then each wrong verdict."""
        groups: dict[tuple[str, str], list[Trial]] = {}
        for trial in self.trials:
            groups.setdefault((trial.breakage, trial.fault), []).append(trial)
        for (breakage, fault), trials in groups.items():
            about = f"{breakage}: {fault}" if breakage else "sound"
            yield f"{sum(trial.right for trial in trials):4} of {len(trials):4} right  {about}"
        for name in self.failed:
            yield f"not written: {name}"
        for trial in self.trials:
            if not trial.right:
                yield f"{'wrong' if trial.breakage else 'false alarm'}: {trial.folder}"
                yield from (f"    {told.file}: {told.code}: {told.text}" for told in trial.told[:FEW])
        yield f"{len(self.unclear())} diagnoses with more than {FEW} problems"

    def as_json(self) -> dict[str, Any]:
        """Every trial with the problems that were told."""
        return {"failed": self.failed, "trials": [asdict(trial) for trial in self.trials]}


def run(
    folder: Path, libraries: Path | None, layouts: Sequence[Layout], breakages: Sequence[Breakage], say: Say
) -> Measured:
    """Write the checkpoints below ``folder``, check them, break them in every way and check again."""
    written, copies = folder / "sound", folder / "broken"
    say(f"{len(layouts)} checkpoints, in {written}:")
    failed = write(written, libraries, [layout.name for layout in layouts], say)
    there = [layout for layout in layouts if layout.name not in failed]
    trials = sound(written, there)
    shutil.rmtree(copies, ignore_errors=True)
    for breakage in breakages:
        some = broken(written, copies, [(breakage, there)])
        say(f"  {breakage.name}: {sum(trial.right for trial in some)} of {len(some)}")
        trials += some
    return Measured(failed, trials)
