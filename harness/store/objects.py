"""Named objects in a folder, in memory or in an S3 bucket, through obstore.

Objects are created and never changed, so that hosts may say the same thing twice. Content that a store should not hold is refused
object by object, counted and named (:class:`Refusals`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from harness.errors import HarnessError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

INSTALL = "pip install 'safetensors-harness[cluster]'"
#: Most seconds of one request, its repetitions included.
_PATIENCE_S = 15.0
# Objects that one request deletes.
_DELETED = 500
# Names that a refusal keeps.
_NAMED = 20
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_FORMS = "name a folder, memory://NAME or s3://BUCKET/PREFIX"
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN")


class Unreachable(HarnessError):
    """A store that did not answer. It may answer later."""


@dataclass
class Refusals:
    """Objects that were refused: their number by reason, and the names of the first of them with the reason."""

    counts: Counter[str] = field(default_factory=Counter)
    named: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, reason: str) -> None:
        """Count the object at ``path``, once."""
        shown = repr(path)[1:-1][:200]
        if shown not in self.named:
            self.counts[reason] += 1
            if len(self.named) < _NAMED:
                self.named[shown] = reason


@dataclass(frozen=True, slots=True)
class Entry:
    """An object in a listing: its path in the store, and its size in bytes."""

    path: str
    size: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


class Objects:
    """A store. Paths are relative to its address. Every method raises HarnessError, and :class:`Unreachable` for no answer."""

    def __init__(self, store: ObjectStore, address: str, folder: Path | None = None) -> None:
        """Use :func:`open_store`. ``folder``: where the objects lie as files."""
        self._store = store
        self._folder = folder
        self.address = address
        self.refused = Refusals()
        #: Number of requests by kind.
        self.requests: Counter[str] = Counter()

    def create(self, path: str, data: bytes) -> bool:
        """Store ``data`` unless the object is there; whether this call created it."""
        from obstore.exceptions import AlreadyExistsError

        self.requests["put"] += 1
        try:
            self._store.put(path, data, mode="create")
        except AlreadyExistsError:
            return False
        except Exception as error:
            self._fail("write", error)
        return True

    def replace(self, path: str, data: bytes) -> float:
        """Store ``data`` in place of an older object. Returns the time of the store's own clock, in seconds, to a second."""
        self.requests["put"] += 1
        try:
            self._store.put(path, data)
            self.requests["get"] += 1
            return float(self._store.head(path)["last_modified"].timestamp())
        except Exception as error:
            self._fail("write", error)

    def read(self, path: str, limit: int) -> bytes | None:
        """The content; None where there is no such object, and, with a refusal, where it has more than ``limit`` bytes."""
        self.requests["get"] += 1
        try:
            found = self._store.get(path)
            if found.meta["size"] > limit:
                self.refused.add(path, f"larger than {limit} bytes")
                return None
            return bytes(found.bytes())
        except FileNotFoundError:
            return None
        except Exception as error:
            self._fail("read", error)

    def list(self, prefix: str, after: str = "") -> list[Entry]:
        """The objects below ``prefix`` in the order of their names, from the one behind the path ``after`` on.

        Paths that could lead elsewhere are refused.
        """
        found: list[Entry] = []
        pages = 0
        try:
            for page in self._store.list(prefix, offset=after or None):
                pages += 1
                for meta in page:
                    if not _PLAIN.fullmatch(meta["path"]):
                        self.refused.add(meta["path"], "no plain name")
                    elif self._folder is not None and not self._inside(self._folder, meta["path"]):
                        self.refused.add(meta["path"], "a link out of the store")
                    else:
                        found.append(Entry(meta["path"], meta["size"]))
        except FileNotFoundError:
            return []
        except Exception as error:
            self._fail("list", error)
        finally:
            self.requests["list"] += max(pages, 1)
        return sorted(found, key=lambda entry: entry.path)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects. Only the pruning of a corpus does."""
        self.requests["delete"] += len(paths)
        for start in range(0, len(paths), _DELETED):
            try:
                self._store.delete([*paths[start : start + _DELETED]])
            except FileNotFoundError:
                # Someone else deleted one of them: the others go one by one.
                for path in paths[start : start + _DELETED]:
                    with contextlib.suppress(FileNotFoundError):
                        self._store.delete(path)
            except Exception as error:
                self._fail("delete from", error)

    @staticmethod
    def _inside(folder: Path, path: str) -> bool:
        return (folder / path).resolve().is_relative_to(folder)

    def _fail(self, verb: str, error: Exception) -> NoReturn:
        """Raise the error in words: ``verb`` is what failed."""
        from obstore import exceptions

        said = f"cannot {verb} the store {self.address}"
        if isinstance(error, exceptions.UnauthenticatedError | exceptions.PermissionDeniedError | PermissionError):
            raise HarnessError(
                f"{said}: access is denied",
                hint="check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights in the bucket; of a folder, its owner",
            ) from None
        if isinstance(error, FileNotFoundError):
            raise HarnessError(f"{said}: it does not exist", hint="make the bucket, or name another --store") from None
        words = _without_secrets(str(error))
        for pattern, hint in _DENIED.items():
            if re.search(pattern, words):
                raise HarnessError(f"{said}: {_first(words)}", hint=hint) from None
        raise Unreachable(
            f"the store {self.address} gives no answer: {_first(words)}",
            hint="check its address, AWS_ENDPOINT_URL and the network",
        ) from None


#: Errors that obstore gives no class of its own, each with the hint.
_DENIED = {
    "InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|Permission denied": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "NoSuchBucket": "make the bucket, or name another --store",
    "Read-only file system": "name a store that can be written",
    "No space left|Disk quota": "free some room in the store",
}


def _first(words: str) -> str:
    return words.strip().split("\n", 1)[0][:200] or "unknown error"


def _without_secrets(words: str) -> str:
    for name in _SECRETS:
        if secret := os.environ.get(name):
            words = words.replace(secret, f"({name})")
    return words


def open_store(address: str) -> Objects:
    """The store at ``address``: a folder, ``memory://NAME`` (of this process) or ``s3://BUCKET/PREFIX``.

    Credentials and endpoint of S3 come from the environment alone (``AWS_*``). Raises HarnessError for other addresses, for one
    that holds credentials, and where obstore is missing. No request is made.
    """
    try:
        import obstore  # noqa: F401
    except ModuleNotFoundError as error:
        raise HarnessError("stores need the package obstore, which is not installed", hint=INSTALL) from error
    parts = urlsplit(address)
    if parts.scheme and not address.startswith(f"{parts.scheme}://"):
        raise HarnessError(f"{parts.scheme}:... is no store", hint=_FORMS)
    if parts.scheme and (parts.username or parts.password or parts.query or parts.fragment or "@" in parts.netloc):
        raise HarnessError(
            f"the address of a store holds more than {parts.scheme}://, a name and a prefix",
            hint="put credentials into the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY",
        )
    prefix = parts.path.strip("/")
    if parts.scheme and prefix and not _PLAIN.fullmatch(prefix):
        raise HarnessError(f"{prefix!r} is no prefix", hint="use letters, digits, dots, hyphens and slashes")
    if parts.scheme == "s3" and parts.netloc:
        return Objects(_bucket(parts.netloc, prefix), f"s3://{parts.netloc}/{prefix}".rstrip("/"))
    if parts.scheme == "memory" and parts.netloc:
        return Objects(_memory(address), address)
    if parts.scheme in ("", "file") and parts.path and not parts.netloc:
        return _folder(Path(parts.path))
    raise HarnessError(f"{address!r} is no store", hint=_FORMS)


def _bucket(bucket: str, prefix: str) -> ObjectStore:
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    try:
        return S3Store(
            bucket,
            prefix=prefix or None,
            client_options={"allow_http": plain, "timeout": "10s", "connect_timeout": "5s"},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=_PATIENCE_S)},
        )
    except (BaseError, ValueError) as error:
        raise HarnessError(
            f"the bucket {bucket} cannot be used: {_first(_without_secrets(str(error)))}",
            hint="check the variables AWS_*",
        ) from None


@functools.cache
def _memory(address: str) -> ObjectStore:
    from obstore.store import MemoryStore

    return MemoryStore()


def _folder(folder: Path) -> Objects:
    from obstore.store import LocalStore

    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Objects(LocalStore(folder.resolve()), str(folder), folder.resolve())
    except OSError as error:
        raise HarnessError(
            f"cannot use the folder {folder} as a store: {error.strerror}", hint="name another --store"
        ) from error
