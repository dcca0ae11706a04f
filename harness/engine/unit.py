"""One unit of work: what a worker is to do, as a value, and what came of it, as another.

Both go through plain JSON. A campaign runs its units in processes of this machine
(:mod:`harness.engine.campaign.supervisor`); whoever spreads them over machines hands each of them a unit and a folder, and
takes back the result, the inputs that it names and the findings:

    python -m harness.engine.unit UNIT.json RESULT.json [FOLDER]

runs exactly one unit, in ``FOLDER`` (default: the folder of the result). There ``corpus/<target>/<sha1>`` and
``findings/<id>/`` are what the result names.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.engine.campaign.process import new_settings
from harness.engine.worker.settings import WorkerSettings
from harness.errors import HarnessError
from harness.files import write_atomic


@dataclass(frozen=True)
class Unit:
    """One target driven for a slice of time, or for a number of executions.

    ``seed_dirs`` are read, never written. ``shared``: what other workers keep is read while it runs.
    ``guards`` are those of earlier deaths, ``options`` further fields of :class:`WorkerSettings`.
    """

    target: str
    parser: str | None
    seed: int
    seed_dirs: tuple[Path, ...]
    seconds: float = 0.0
    runs: int = 0
    shared: bool = False
    disabled: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def settings(self, campaign: Path, **changed: Any) -> WorkerSettings:
        """What a worker in the folder ``campaign`` is told; ``changed`` replaces fields."""
        fields = {name: value for name, value in vars(self).items() if name not in ("shared", "options")}
        options = dict(self.options)
        if self.shared:
            options["options"] = (*options.get("options", ()), RELOAD)
        return new_settings(campaign=campaign, **(fields | options | changed))

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_atomic(path, json.dumps(dataclasses.asdict(self), default=str, indent=1))

    @classmethod
    def load(cls, path: Path) -> Unit:
        """Read what :meth:`save` wrote. Raises HarnessError when the file is no unit."""
        raw = _read(path, cls)
        raw["seed_dirs"] = tuple(Path(folder) for folder in raw["seed_dirs"])
        for name in ("disabled", "guards"):
            raw[name] = tuple(raw.get(name, ()))
        if "options" in raw.get("options", {}):
            raw["options"]["options"] = tuple(raw["options"]["options"])
        return cls(**raw)


#: libFuzzer looks into its corpus folder for new files each second.
RELOAD = "-reload=1"


@dataclass(frozen=True)
class Result:
    """What a unit gave.

    ``corpus`` and ``findings`` are names of inputs (SHA-1) and ids that were not there before; of the findings, ``new``
    are those that nothing filed covers. ``statistics`` are sums over the unit's workers (one, unless some died) and the last
    one's figures, ``seconds`` the time from its start to its end on the clock, ``start_seconds`` what passed before its
    first mutation (0 where none came). ``edges`` and ``features`` are libFuzzer's, at the end and once the seeds had run.
    ``problem`` says why the target cannot be driven.
    """

    target: str
    seconds: float = 0.0
    start_seconds: float = 0.0
    cpu_seconds: float = 0.0
    executions: int = 0
    edges: tuple[int, int] = (0, 0)
    features: tuple[int, int] = (0, 0)
    semantic: int = 0
    corpus: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    workers: int = 0
    problem: str = ""
    statistics: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_atomic(path, json.dumps(dataclasses.asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Result:
        """Read what :meth:`save` wrote. Raises HarnessError when the file is no result."""
        raw = _read(path, cls)
        tuples: dict[str, Any] = {name: tuple(value) for name, value in raw.items() if isinstance(value, list)}
        return cls(**(raw | tuples))


def _read(path: Path, kind: type[Unit | Result]) -> dict[str, Any]:
    try:
        raw: dict[str, Any] = json.loads(path.read_text())
        strange = raw.keys() - {one.name for one in dataclasses.fields(kind)}
        lacking = {one.name for one in dataclasses.fields(kind) if _needed(one)} - raw.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise HarnessError(f"{path} cannot be read: {error}", hint="write it with Unit.save or Result.save") from error
    if strange or lacking:
        wrong = f"has an unknown field {min(strange)!r}" if strange else f"lacks {min(lacking)!r}"
        raise HarnessError(f"{path} {wrong}", hint="write it with Unit.save or Result.save")
    return raw


def _needed(one: dataclasses.Field[Any]) -> bool:
    return one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING


def main(arguments: list[str]) -> int:
    """Run the unit named first; its result goes to the file named next. Returns the exit status."""
    from harness.engine.campaign.main import run_unit

    if len(arguments) not in (2, 3):
        print("usage: python -m harness.engine.unit UNIT.json RESULT.json [FOLDER]", file=sys.stderr)
        return HarnessError.exit_status
    result = Path(arguments[1])
    try:
        done = run_unit(Unit.load(Path(arguments[0])), Path(arguments[2]) if len(arguments) == 3 else result.parent)
        done.save(result)
    except HarnessError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_status
    if done.problem:
        print(f"error: {done.problem}", file=sys.stderr)
    return HarnessError.exit_status if done.problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
