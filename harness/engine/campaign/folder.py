"""A campaign's folder: its lock, its ledger, its seeds, and the leftovers of a killed campaign."""

from __future__ import annotations

import contextlib
import fcntl
import json
import platform
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness import corpus_store, paths
from harness.engine.campaign import deaths
from harness.engine.campaign.campaign_corpus import CampaignCorpus, CorpusSync
from harness.engine.campaign.discovery import forget
from harness.engine.worker import memory
from harness.errors import HarnessError
from harness.files import write_atomic
from harness.parsers import api
from harness.parsers.registry import Parser
from harness.targets import scratch

FORMAT = 1
LEDGER = "campaign.json"
_PARTS = ("corpus", "findings", "log")
# A temporary file exists for milliseconds. Older ones are leftovers of a killed process.
_LEFT_S = 60.0


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder and hold its lock: one campaign at a time. Raises HarnessError where it is unusable, or in use."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except (OSError, ValueError) as error:
        raise HarnessError(
            f"cannot use {folder} as a campaign folder: {error}", hint="name another --campaign"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HarnessError(
                f"another campaign is running in {folder}", hint="wait for it, or name another --campaign"
            ) from error
        yield


def prepare(folder: Path, *, fresh: bool = False) -> int:
    """Make the folder's parts and take over the leftovers of killed campaigns. Returns the number of such inputs.

    With ``fresh``, everything moves to ``old-N`` inside the folder.
    """
    taken = _taken_over(folder)
    if not fresh:
        return taken
    _set_aside(folder)
    _parts(folder)
    return 0


def _parts(folder: Path) -> None:
    for name in _PARTS:
        (folder / name).mkdir(parents=True, exist_ok=True)


def _taken_over(folder: Path) -> int:
    _parts(folder)
    for path in (*folder.glob(".tmp-*"), *folder.glob("corpus/*/.tmp-*"), *folder.glob("findings/*/.tmp-*")):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _LEFT_S:
                path.unlink()
    return sum(_take_over(left, folder, target) for left, campaign, target in memory.abandoned() if campaign == folder)


def _take_over(left: Path, campaign: Path, target: str) -> int:
    """Move the inputs of a killed campaign from memory to its folder. Returns their number."""
    memory.end_worker(left)
    taken = CorpusSync(left, CampaignCorpus(campaign / "corpus" / target)).sync()
    deaths.recover(left)
    memory.remove(left)
    return len(taken)


def leave(folder: Path) -> None:
    """Take over all that workers of this process hold in memory, when a campaign ends early.

    Without room on the disk, the inputs stay in memory for the next campaign.
    """
    for left, target in memory.own(folder):
        with contextlib.suppress(HarnessError, OSError):
            _take_over(left, folder, target)


def tidy_others() -> None:
    """Do for other killed campaigns what their next session would do, so that nothing of them stays in memory."""
    scratch.sweep()
    for left, campaign, target in memory.abandoned():
        # One that runs, or cannot be written, is left alone.
        with (
            contextlib.suppress(HarnessError, OSError),
            locked(campaign),
            corpus_store.locked_whole(campaign / "corpus"),
        ):
            _take_over(left, campaign, target)


def _set_aside(folder: Path) -> None:
    """Move the folder's content to ``old-N``."""
    present = [path for path in folder.iterdir() if path.name in (*_PARTS, LEDGER)]
    if not any(path.is_file() or any(path.iterdir()) for path in present):
        return
    number = 1 + max((int(p.name[4:]) for p in folder.glob("old-*") if p.name[4:].isdigit()), default=0)
    target = folder / f"old-{number}"
    target.mkdir()
    for path in present:
        path.rename(target / path.name)


def seed_dirs(folder: Path, target: str, *, empty: bool = False) -> tuple[Path, ...]:
    """Folders of a target's seeds: the committed ones unless ``empty``, and the campaign's own corpus."""
    own = folder / "corpus" / target
    return (own,) if empty else (paths.corpus_dir() / target, own)


def seeds(
    folders: tuple[Path, ...], target: str, *, own: Mapping[str, bytes] = MappingProxyType({}), empty: bool = False
) -> tuple[int, list[str]]:
    """The number of the target's seeds, and a line for each skipped file.

    Unless ``empty``, the target's ``own`` seeds that are in no folder go into the last one: a minimised corpus lacks those that
    reach no new code, and the oracles judge them all the same. Raises HarnessError where there is no seed, unless ``empty``.
    """
    listings = [(folder, corpus_store.list_seeds(folder)) for folder in folders]
    count = sum(len(listing.seeds) for _, listing in listings)
    there = {name for _, listing in listings for name, _ in listing.seeds}
    for name, data in {corpus_store.sha1(data): data for data in own.values()}.items():
        if name not in there and not empty:
            corpus_store.add(folders[-1], data)
            count += 1
    if not count and not empty:
        raise HarnessError(
            f"no seeds for target {target}: looked in {', '.join(str(folder) for folder in folders)}",
            hint="`harness corpus import FILE...` adds some; --empty-corpus starts from nothing on purpose",
        )
    return count, [f"{folder}: {listing.warning}" for folder, listing in listings if listing.warning]


def versions(parser: Parser) -> dict[str, str]:
    """The versions of everything that influences a campaign."""
    return {
        "harness": version("safetensors-harness"),
        "python": platform.python_version(),
        "atheris": version("atheris"),
        "safetensors": parser.version,
    }


def lacks(parser: Parser) -> list[str]:
    """The parts of the API that the parser lacks; none of a build that does not load, as its workers say so."""
    with contextlib.suppress(HarnessError):
        return list(api.of_parser(parser).lacks)
    return []


class Ledger:
    """``campaign.json``: earlier sessions unchanged, then the running one."""

    def __init__(self, folder: Path) -> None:
        """Read it. Raises HarnessError when it is damaged."""
        self.path = folder / LEDGER
        try:
            self._ledger = json.loads(self.path.read_text())
            forget(self._ledger["sessions"])
        except FileNotFoundError:
            self._ledger = {"format": FORMAT, "sessions": []}
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise HarnessError(
                f"{self.path} is no ledger: {error}",
                hint="move it away, or start with --fresh (which keeps the old one aside)",
            ) from error
        self.session: dict[str, Any] = {}
        # The file is written every second, so unchanged parts are encoded once.
        self._earlier = [json.dumps(session) for session in self._ledger["sessions"]]
        self._head = json.dumps({name: value for name, value in self._ledger.items() if name != "sessions"})
        self._targets: dict[str, tuple[Any, str]] = {}

    def write(self) -> None:
        """Write the file, the running session last. Raises OSError and leaves the old file."""
        sessions = ",\n".join([*self._earlier, self._running()])
        write_atomic(self.path, f'{self._head[:-1]}, "sessions": [\n{sessions}\n]}}\n')

    def _running(self) -> str:
        """The running session as JSON. The text of a target is kept while its figures are the same object."""
        targets = {}
        for name, figures in self.session.get("per_target", {}).items():
            known, text = self._targets.get(name, (None, ""))
            targets[name] = text if known is figures else json.dumps(figures)
            self._targets[name] = figures, targets[name]
        words = {name: json.dumps(value) for name, value in self.session.items() if name != "per_target"}
        return _object(words | {"per_target": _object(targets)})


def _object(words: dict[str, str]) -> str:
    """A JSON object of values that are JSON already."""
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in words.items()) + "}"
