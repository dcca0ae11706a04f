"""Writing files so that a kill or a full disk leaves the old content or the new, never half of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from harness.errors import HarnessError


def open_at_once(path: str | Path) -> BinaryIO:
    """Open ``path`` to read bytes. Never waits for the other end of a pipe. Raises OSError."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


def write_atomic(path: Path, data: bytes | str, *, durable: bool = True) -> None:
    """Write ``data`` to ``path`` through a temporary file in the same folder and a rename.

    Without ``durable`` a power cut, not a kill, may leave an empty file of that name: for what is checked when it is read.
    Raises OSError (the disk is full, the folder is missing); ``path`` then holds what it held before.
    """
    raw = data.encode() if isinstance(data, str) else data
    fd, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as handle:
            handle.write(raw)
            if durable:
                handle.flush()
                os.fsync(handle.fileno())
        # mkstemp makes files private (0600); what we keep is to be read by others, as open() would leave it.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def alone(path: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold the lock file ``path``; ``waiting`` is called where another process holds it. The kernel frees that of a dead one."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_named(path: Path, text: str) -> None:
    """:func:`write_atomic` to a file that a person named. Raises HarnessError when it cannot be written."""
    try:
        write_atomic(path, text)
    except OSError as error:
        raise HarnessError(
            f"cannot write {path}: {error.strerror}", hint="name a file in a folder that exists"
        ) from error
