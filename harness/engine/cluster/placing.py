"""Dask's part: the connection to a scheduler, the hosts that take units, and the placing of units on them."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.engine.cluster import host
from harness.engine.cluster.checks import Facts, facts, problem
from harness.engine.cluster.host import Task
from harness.errors import HarnessError
from harness.store.objects import INSTALL

if TYPE_CHECKING:
    from distributed import Client, Future

_LOCAL = re.compile(r"local(?::(\d{1,3}))?")
#: Seconds in which a scheduler must answer at the start, and in which a lost one may come back.
ANSWER_S, RETURN_S = 15.0, 120.0
#: Seconds after which hosts that are left out are checked again.
CHECK_S = 30.0
# Seconds in which the first host must be there.
_FIRST_S = 60.0


@dataclasses.dataclass(eq=False)
class Placed:
    """A task on the host of the address ``host``. ``gone``: the host, or its scheduler, is."""

    task: Task
    host: str
    future: Future[Any]
    gone: bool = False

    def done(self) -> bool:
        """Whether its task has ended in any way, or is lost."""
        return self.gone or self.future.done() or self.future.status == "lost"

    def end(self) -> str:
        """The host's words on the end of the task's process; "" where the host is gone."""
        if self.gone or self.future.status != "finished":
            return ""
        with contextlib.suppress(Exception):
            ended = self.future.result(timeout=5)
            return f"{ended['host']} ended it with status {ended['status']}: {str(ended['words'])[-300:]}"
        return ""

    def words(self) -> str:
        """The last words of a task that ended without a result."""
        return self.end() or "its host is gone"


@dataclasses.dataclass(frozen=True)
class Checked:
    """A host by name, with its units at a time, its facts, and the reason why it cannot take units, or ""."""

    name: str
    slots: int
    facts: Facts
    problem: str


class Hosts:
    """The hosts of the cluster at ``address``. ``content`` is the hash of the parser, ``store`` the address of the store."""

    def __init__(self, address: str, content: str, store: str) -> None:
        """Connect. Raises HarnessError where no scheduler answers."""
        self._address, self._content, self._store = address, content, store
        self._client = connect(address)
        self._topics: list[tuple[str, Callable[[dict[str, Any]], object]]] = []
        self._mine = facts(store, content)
        #: Hosts that are left out, by address, with the reason; and those that were found sound, with their units at a time.
        self.refused: dict[str, str] = {}
        self._sound: dict[str, int] = {}
        self._lost_at: float | None = None
        self._checked = time.monotonic()
        self._placed: list[Placed] = []

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(Exception):
            self._client.close(timeout=5)

    def first(self) -> None:
        """Wait for the first sound host. Raises HarnessError with the reasons where there is none."""
        deadline = time.monotonic() + _FIRST_S
        while not self._sound:
            self.look()
            if self._sound:
                return
            if self.refused or time.monotonic() > deadline:
                reasons = "; ".join(self.refused.values()) or "none has joined the scheduler"
                raise HarnessError(
                    f"no host can run units: {reasons}",
                    hint=f"start hosts: harness worker {self._address} --store {self._store}",
                )
            time.sleep(0.5)

    def look(self) -> str:
        """Check hosts that are new, and forget those that are gone. Returns the state in words where something is wrong.

        Raises HarnessError where the scheduler has been away for too long.
        """
        if self._client.status != "running":
            return self._again()
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        self.refused = {name: why for name, why in self.refused.items() if name in workers}
        if time.monotonic() - self._checked > CHECK_S:
            # The reason may be gone: a store gave no answer, or a disk was full.
            self._checked = time.monotonic()
            self.refused.clear()
        fresh = [name for name in workers if name not in self._sound and name not in self.refused]
        self._forget([name for name in self._sound if name not in workers])
        for name, found in self._asked(fresh).items():
            why = problem(self._mine, found) if isinstance(found, Facts) else repr(found)
            if why:
                self.refused[name] = f"host {workers[name].get('name', name)} is left out: {why}"
            else:
                self._sound[name] = int(workers[name]["nthreads"])
        if not self._sound:
            return self._nobody()
        self._lost_at = None
        return next(iter(self.refused.values()), "")

    def _nobody(self) -> str:
        """The state without a sound host, in words. Raises HarnessError where it lasts too long."""
        self._lost_at = self._lost_at or time.monotonic()
        reason = next(iter(self.refused.values()), f"{self._address} has no hosts")
        if time.monotonic() - self._lost_at > RETURN_S:
            hint = f"start hosts: harness worker {self._address} --store {self._store}; then run the same command"
            raise HarnessError(f"no host can run units: {reason}", hint=hint)
        return f"waiting for hosts: {reason}"

    def facts(self) -> list[Checked]:
        """All hosts, checked anew."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        asked = self._asked(list(workers))
        return [
            Checked(str(one.get("name", name)), int(one["nthreads"]), asked[name], problem(self._mine, asked[name]))
            for name, one in workers.items()
            if isinstance(asked.get(name), Facts)
        ]

    def _asked(self, names: list[str]) -> dict[str, Any]:
        if not names:
            return {}
        found: dict[str, Any] = self._client.run(facts, self._store, self._content, workers=names, on_error="return")
        return found

    def _again(self) -> str:
        """Connect anew after the scheduler was lost."""
        now = time.monotonic()
        self._lost_at = self._lost_at or now
        self._forget(list(self._sound))
        try:
            client = connect(self._address, 5.0)
        except HarnessError as error:
            if now - self._lost_at > RETURN_S:
                raise HarnessError(
                    f"the scheduler at {self._address} has been away for {RETURN_S:.0f} s",
                    hint="start it and its hosts, then run the same command: the campaign goes on",
                ) from error
            return f"the scheduler at {self._address} is away; hosts store what they have"
        self.close()
        self._client = client
        for topic, take in self._topics:
            self._subscribe(topic, take)
        return f"the scheduler at {self._address} is back"

    def _forget(self, names: list[str]) -> None:
        """Forget hosts that are gone, with the units on them."""
        lost = [one for one in self._placed if one.host in names]
        for one in lost:
            one.gone = True
        for name in names:
            del self._sound[name]
        if lost:
            self.cancel(lost)

    def slots(self) -> int:
        """The number of units that run at a time."""
        return sum(self._sound.values())

    def free(self) -> bool:
        """Whether a host has room for one more unit."""
        return self._free() is not None

    def _free(self) -> str | None:
        self._placed = [one for one in self._placed if not one.done()]
        used = Counter(one.host for one in self._placed)
        return next((name for name, units in self._sound.items() if used[name] < units), None)

    def submit(self, task: Task) -> Placed:
        """Give a task to a host with room; there must be one (:meth:`free`).

        Dask would queue the unit of a lost host behind another one, and leave a host that joins later idle.
        """
        name = self._free()
        assert name is not None
        key = f"{task.id}-{time.monotonic_ns()}"
        future = self._client.submit(host.run, task, key=key, workers=[name], allow_other_workers=False, pure=False)
        self._placed.append(Placed(task, name, future))
        return self._placed[-1]

    def runs(self, placed: Placed) -> bool:
        """Whether the unit may still be at its end: its host stores the results after it was asked to end."""
        return not placed.gone and placed.host in self._sound

    def cancel(self, placed: list[Placed]) -> None:
        """Ask tasks to end. The results of units go to the store."""
        with contextlib.suppress(Exception):
            self._client.cancel([one.future for one in placed], force=True)

    def listen(self, topic: str, take: Callable[[dict[str, Any]], object]) -> None:
        """Call ``take`` with each report of the hosts, in a thread of Dask's."""
        self._topics.append((topic, take))
        self._subscribe(topic, take)

    def _subscribe(self, topic: str, take: Callable[[dict[str, Any]], object]) -> None:
        self._client.subscribe_topic(topic, lambda event: take(event[1]))


def connect(address: str, seconds: float = 0.0) -> Client:
    """A client of the scheduler at ``address``. Raises HarnessError where none answers in some ``seconds`` (:data:`ANSWER_S`)."""
    import distributed

    try:
        return distributed.Client(address, timeout=seconds or ANSWER_S, set_as_default=False, name="harness")
    except (OSError, ValueError, RuntimeError, TimeoutError) as error:
        raise no_scheduler(address) from error


def no_scheduler(address: str) -> HarnessError:
    """The error where no scheduler answers."""
    return HarnessError(
        f"no scheduler answers at {address}",
        hint="start one: dask scheduler --host ADDRESS; or fuzz on this machine: --cluster local",
    )


def needs_dask() -> None:
    """Raise HarnessError where Dask is not installed."""
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise HarnessError("a cluster needs the package distributed, which is not installed", hint=INSTALL) from error
    # It logs each lost connection with a traceback; :meth:`Hosts.look` says it in a line.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)


def unsafe(address: str) -> str:
    """A warning where a scheduler listens beyond this machine without TLS; "" where it does not."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    with contextlib.suppress(ValueError):
        if parts.scheme == "tls" or ipaddress.ip_address(parts.hostname or "").is_loopback:
            return ""
    if parts.hostname == "localhost":
        return ""
    return f"{address} has no TLS: everyone who reaches it can run programs on its hosts (docs/scale.md)"


def shared_address(store: str) -> str:
    """The address of a store as all processes of this machine understand it. Raises HarnessError for memory."""
    if store.startswith("memory:"):
        raise HarnessError(f"{store} is the memory of one process", hint="name a folder or s3://BUCKET/PREFIX")
    return store if "://" in store else os.path.abspath(store)


@contextlib.contextmanager
def hosts(cluster: str, workers: int, content: str, store: str, say: Callable[[str], object]) -> Iterator[Hosts]:
    """The hosts of :func:`scheduler`, of which one at least is sound. ``say`` gets warnings. Raises HarnessError."""
    with scheduler(cluster, workers) as address:
        if warning := unsafe(address):
            say(warning)
        found = Hosts(address, content, store)
        try:
            found.first()
            for reason in found.refused.values():
                say(reason)
            yield found
        finally:
            found.close()


@contextlib.contextmanager
def scheduler(cluster: str, workers: int) -> Iterator[str]:
    """The address of the scheduler that ``cluster`` names. ``local`` and ``local:N`` start one here, with N hosts.

    The default of N is ``workers``. Raises HarnessError.
    """
    needs_dask()
    match = _LOCAL.fullmatch(cluster)
    if match is None:
        yield cluster
        return
    import distributed

    count = int(match[1]) if match[1] else workers
    if not count:
        raise HarnessError("local:0 has no hosts", hint="name at least one: local:1")
    with distributed.LocalCluster(
        n_workers=count, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", memory_limit=0, silence_logs=50
    ) as started:  # fmt: skip
        yield str(started.scheduler_address)
