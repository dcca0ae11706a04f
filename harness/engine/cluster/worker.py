"""A host of a Dask cluster: a Dask worker in this process, whose tasks run units in processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness.engine.cluster.host import FOLDER
from harness.engine.cluster.placing import ANSWER_S, RETURN_S, needs_dask, no_scheduler
from harness.errors import HarnessError
from harness.store import records
from harness.store.objects import open_store

_AGAIN_S = 2.0


def serve(address: str, store: str, place: Path, units: int, say: Callable[[str], object]) -> None:
    """Take ``units`` at a time from the scheduler at ``address``, until SIGTERM or Ctrl-C.

    Raises HarnessError: a store that cannot be used, and a scheduler that does not answer, or that was lost for too long.
    """
    needs_dask()
    records.check_clock(open_store(store), socket.gethostname())
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"cannot use {place}: {error.strerror}", hint="name another --folder") from error
    os.environ[FOLDER] = str(place)
    asyncio.run(_serve(address, place, units, say))


async def _serve(address: str, place: Path, units: int, say: Callable[[str], object]) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    lost = time.monotonic() - RETURN_S + ANSWER_S
    while not ended.is_set():
        if await _take_units(address, place, units, ended, say):
            lost = time.monotonic()
        elif time.monotonic() - lost > RETURN_S:
            raise no_scheduler(address)
        if not ended.is_set():
            await asyncio.sleep(_AGAIN_S)


async def _take_units(
    address: str, place: Path, units: int, ended: asyncio.Event, say: Callable[[str], object]
) -> bool:
    """Be a worker of the scheduler until either ends. False where the scheduler did not answer."""
    from distributed import Worker

    with tempfile.TemporaryDirectory(prefix=".tmp-dask-", dir=place) as scratch:
        worker = Worker(
            address,
            nthreads=units,
            name=f"{socket.gethostname()}-{os.getpid()}-{time.monotonic_ns() % 1000}",
            memory_limit=0,
            local_directory=scratch,
            death_timeout=ANSWER_S / 3,
        )
        try:
            await asyncio.wait_for(worker, ANSWER_S)
        except (OSError, TimeoutError, RuntimeError, ValueError):
            await worker.close(timeout=1, executor_wait=False)
            return False
        say(f"{worker.name} takes {units} units at a time from {address}")
        waiting = [asyncio.ensure_future(one) for one in (worker.finished(), ended.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        # Running units see that nobody waits for them, and store what they have.
        await worker.close(timeout=30, executor_wait=True)
        for one in waiting:
            one.cancel()
        if not ended.is_set():
            say(f"the scheduler at {address} is gone; waiting for it")
        return True
