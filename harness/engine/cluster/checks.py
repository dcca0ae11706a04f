"""Facts about a host, gathered there, and the reasons why a host cannot take units."""

from __future__ import annotations

import hashlib
import shutil
import socket
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import harness
from harness.engine.cluster.host import DISK_MB, SHARED_MB, folder
from harness.errors import HarnessError
from harness.parsers import registry
from harness.store import records
from harness.store.objects import open_store
from harness.store.shared_corpus import SKEW_S
from harness.targets import scratch


@dataclass(frozen=True)
class Facts:
    """A host: names and versions, a hash of the harness's code, free MB of shared memory and disk, and its clock (Unix).

    ``parser``: the build with the wanted content; "" where there is none, so that the host fetches it. ``store``: why the store
    cannot be used from there.
    """

    host: str
    harness: str
    code: str
    python: str
    atheris: str
    parser: str
    shared_mb: int
    disk_mb: int
    clock: float
    store: str = ""


def facts(store: str, content: str) -> Facts:
    """The facts about this host."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    trouble = ""
    if store:
        try:
            records.check_clock(open_store(store), socket.gethostname())
        except HarnessError as error:
            trouble = f"{error} ({error.hint})"
    return Facts(
        host=socket.gethostname(),
        harness=version("safetensors-harness"),
        code=_code(),
        python=records.python_version(),
        atheris=version("atheris"),
        parser=next((one.name for one in registry.available() if one.content == content), ""),
        shared_mb=shutil.disk_usage(scratch.base()).free >> 20,
        disk_mb=shutil.disk_usage(place).free >> 20,
        clock=time.time(),
        store=trouble,
    )


def _code() -> str:
    """A hash over the modules of the harness."""
    root = Path(harness.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def problem(mine: Facts, theirs: Facts) -> str:
    """The reason why a host cannot take units of this driver, with a remedy; "" where it can."""
    for name, words in (("harness", "the harness"), ("python", "Python"), ("atheris", "atheris")):
        if getattr(mine, name) != getattr(theirs, name):
            return f"{words} is {getattr(theirs, name)} there and {getattr(mine, name)} here: install the same"
    if mine.code != theirs.code:
        return f"the harness {theirs.harness} has other code there: install the same commit"
    if abs(theirs.clock - mine.clock) > SKEW_S and abs(theirs.clock - time.time()) > SKEW_S:
        return f"its clock is {abs(theirs.clock - time.time()):.0f} s off: set it (NTP)"
    if theirs.disk_mb < DISK_MB:
        return f"it has {theirs.disk_mb} MB of free disk, fewer than {DISK_MB}: free some"
    return theirs.store


def advice(theirs: Facts) -> str:
    """A remark on a host that can take units, but with less; "" without one."""
    if theirs.shared_mb < SHARED_MB:
        return f"{theirs.shared_mb} MB of free shared memory, fewer than {SHARED_MB}: its units use the disk instead, and are slower"
    return "" if theirs.parser else "it has no such parser, and gets it from the store"
