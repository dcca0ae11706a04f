"""Pinned seeds: seeds that a person wants kept, with the reason, whatever they reach.

``corpus/<target>/pins.toml`` has a table per pinned seed, by SHA-1. It is a text to be committed beside the seeds.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from harness import corpus_store
from harness.corpus_store import PINS
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.findings import toml

_HEAD = "# Seeds that `harness corpus` keeps in any case; `harness corpus pin` writes this file.\n"


@dataclass(frozen=True, slots=True)
class Pin:
    """Why a seed is kept, and the name of the file that it came from."""

    file: str
    why: str


def read(folder: Path) -> dict[str, Pin]:
    """SHA-1 to pin of a target's folder; empty where nothing is pinned. Raises HarnessError when the file is damaged."""
    path = folder / PINS
    hint = "restore it from version control, or pin the seeds again"
    try:
        table = toml.loads(path.read_text(encoding="utf-8"), str(path), hint)
        return {name: Pin(str(entry["file"]), str(entry["why"])) for name, entry in table.items()}
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, LookupError, TypeError) as error:
        raise HarnessError(f"{path} is damaged: a pin has a file and a reason (why)", hint=hint) from error


def of_seeds(folder: Path, seeds: Collection[str]) -> dict[str, Pin]:
    """The pins of ``folder``, whose sound seeds have the names ``seeds``. Raises HarnessError when a pinned one is missing."""
    pins = read(folder)
    for name, pin in pins.items():
        if name not in seeds:
            raise HarnessError(
                f"the pinned seed {name} ({pin.file}) of target {folder.name} is gone, or its content changed",
                hint=f"restore {folder / name} from version control, or unpin it: "
                f"harness corpus pin --remove {name} --target {folder.name}",
            )
    return pins


def write(folder: Path, pins: Mapping[str, Pin]) -> None:
    """Record ``pins``, ordered by name. The file goes with the last pin."""
    if pins:
        write_atomic(folder / PINS, _HEAD + toml.dumps({name: asdict(pin) for name, pin in sorted(pins.items())}))
    else:
        (folder / PINS).unlink(missing_ok=True)


def targets_of(path: Path, corpus: Path) -> list[str]:
    """The target of a seed by its path ``corpus/<target>/<sha1>``; empty for a file elsewhere."""
    place = path.absolute().parent
    inside = os.path.realpath(place.parent) == os.path.realpath(corpus)
    return [place.name] if inside else []


def pin(folder: Path, path: Path, data: bytes, why: str) -> bool:
    """Pin the content ``data`` of the file ``path`` in a target's folder; True where it is a new seed there.

    A second pin replaces the reason. Raises HarnessError when another process changes the seeds, or the disk is full.
    """
    name = corpus_store.sha1(data)
    with corpus_store.locked(folder):
        pins, origins = read(folder), corpus_store.read_provenance(folder)
        new = not (folder / name).is_file()
        if new:
            corpus_store.change(folder, {name: (data, corpus_store.Provenance("import", path.name))})
        origin = origins.get(name)
        file = origin.detail if origin is not None and path.name == name else path.name
        write(folder, {**pins, name: Pin(file, why)})
    return new


def unpin(folder: Path, name: str) -> bool:
    """Take a pin away; the seed stays. False where there was none."""
    if name not in read(folder):
        return False
    with corpus_store.locked(folder):
        pins = read(folder)
        pins.pop(name, None)
        write(folder, pins)
    return True
