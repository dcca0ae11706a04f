"""The parts of a real campaign on two hosts: an S3 server, a scheduler, hosts and a driver, each in processes of its own.

A host is a network namespace where this process may make some, else a process on loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.store.objects import open_store
from tests.s3_server import S3Server, binary
from tests.waiting import LONG, wait_until

REPOSITORY = Path(__file__).parents[3]
STORE = "s3://fuzz/night"


def _ip(*words: str) -> bool:
    return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0


class Network:
    """A bridge with a namespace for each host; without the right to make one, loopback for all."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._bridge = f"hs{secrets.token_hex(3)}"
        self._subnet = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(250)}"
        able = os.geteuid() == 0 and shutil.which("ip") is not None
        self.real = able and _ip("link", "add", self._bridge, "type", "bridge")
        if self.real:
            _ip("addr", "add", f"{self._subnet}.1/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
        self.address = f"{self._subnet}.1" if self.real else "127.0.0.1"

    def host(self, number: int) -> list[str]:
        """The words before a command that run it on a host."""
        if not self.real:
            return []
        name = f"{self._bridge}n{number}"
        if name not in self._names:
            self._names.append(name)
            for words in (
                ("netns", "add", name),
                ("link", "add", f"{self._bridge}v{number}", "type", "veth", "peer", "name", "eth0", "netns", name),
                ("link", "set", f"{self._bridge}v{number}", "master", self._bridge, "up"),
                ("-n", name, "addr", "add", f"{self._subnet}.{number + 10}/24", "dev", "eth0"),
                ("-n", name, "link", "set", "eth0", "up"),
                ("-n", name, "link", "set", "lo", "up"),
            ):
                assert _ip(*words), words
        return ["ip", "netns", "exec", name]

    def close(self) -> None:
        for name in self._names:
            _ip("netns", "del", name)
        if self.real:
            _ip("link", "del", self._bridge)


class Cluster:
    """Starts and kills the parts. ``folder`` has the folders of driver and hosts, and their logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.network = Network()
        self.s3 = S3Server(binary(), folder / "s3", self.network.address)
        with socket.socket() as free:
            free.bind((self.network.address, 0))
            self.address = f"tcp://{self.network.address}:{free.getsockname()[1]}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._more: dict[str, str] = {}

    def secure(self) -> None:
        """Use TLS from now on, with a certificate of the cluster's own."""
        certificate, key = self.folder / "tls.pem", self.folder / "tls.key"
        words = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1", "-subj", "/CN=cluster"]
        place = ["-addext", f"subjectAltName=IP:{self.network.address}", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*words, *place], check=True, capture_output=True)
        prefix = "DASK_DISTRIBUTED__COMM__TLS__"
        self._more = {f"{prefix}CA_FILE": str(certificate)}
        for role in ("CLIENT", "WORKER", "SCHEDULER"):
            self._more |= {f"{prefix}{role}__CERT": str(certificate), f"{prefix}{role}__KEY": str(key)}
        self.address = self.address.replace("tcp://", "tls://")

    @property
    def environment(self) -> dict[str, str]:
        more = {"PYTHONPATH": str(REPOSITORY), "HARNESS_HOME": str(REPOSITORY)}
        return os.environ | self.s3.environment | more | self._more

    def start(self, name: str, command: list[str]) -> None:
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def scheduler(self) -> None:
        protocol, _, place = self.address.partition("://")
        host, port = place.rsplit(":", 1)
        words = ["-m", "distributed.cli.dask_scheduler", "--host", host, "--port", port, "--no-dashboard"]
        words += ["--protocol", protocol]
        self.start("scheduler", [sys.executable, *words])

    def host(self, number: int, *before: str) -> None:
        words = ["worker", self.address, "--store", STORE, "--folder", str(self.place(number)), "--workers", "1"]
        self.start(f"host-{number}", [*self.network.host(number), *before, sys.executable, "-m", "harness", *words])

    def place(self, number: int) -> Path:
        return self.folder / f"host-{number}"

    def joined(self, number: int, times: int = 1) -> None:
        """Wait until a host has joined the scheduler so many times."""
        log = self.log(f"host-{number}")
        wait_until(lambda: log.read_text().count(" units at a time from ") >= times, what=f"host {number} joins")

    def driver(self, seconds: int, *more: str) -> None:
        places = ["--campaign", str(self.campaign), "--ledger", str(self.folder / "ledger")]
        words = [
            "fuzz",
            "--cluster",
            self.address,
            "--store",
            STORE,
            "--no-ui",
            "--time",
            f"{seconds}s",
            *places,
            *more,
        ]
        self.start("driver", [sys.executable, "-m", "harness", *words])

    @property
    def campaign(self) -> Path:
        return self.folder / "campaign"

    def wait(self, name: str) -> int:
        return self.processes[name].wait(LONG)

    def interrupt(self) -> None:
        """Ctrl-C to the driver, and its end: units store what they have."""
        self.processes["driver"].send_signal(signal.SIGINT)
        assert self.wait("driver") in (0, 1), self.log("driver").read_text()

    def end(self, name: str) -> None:
        """SIGTERM to one process, and its end."""
        self.processes[name].terminate()
        self.wait(name)

    def kill(self, name: str) -> None:
        """SIGKILL to one process, as the kernel does when memory is short."""
        self.processes[name].kill()
        self.processes[name].wait()

    def kill_host(self, number: int) -> None:
        """SIGKILL to all processes of a host, as when its machine loses power."""
        if self.network.real:
            name = self.network.host(number)[-1]
            for _ in range(3):
                pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout
                for pid in pids.split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                time.sleep(0.1)
        self.kill(f"host-{number}")

    def stored(self, target: str = "deserialize") -> set[str]:
        return {entry.path for entry in open_store(STORE).list(f"corpus/{target}")}

    def everything(self) -> set[str]:
        """All that must stay: inputs, findings, guards, results and sessions."""
        objects = open_store(STORE)
        return {
            entry.path for part in ("corpus", "findings", "guards", "results", "ledger") for entry in objects.list(part)
        }

    def lost(self, before: set[str]) -> list[str]:
        """Those objects of an earlier :meth:`everything` that can no longer be read, whatever a listing says."""
        objects = open_store(STORE)
        return [path for path in sorted(before - self.everything()) if objects.read(path, 1 << 30) is None]

    def reports(self) -> dict[str, int]:
        """The executions of the running units, by folder."""
        found = {}
        for path in self.folder.glob("host-*/*/slot-*/report.json"):
            with contextlib.suppress(OSError, ValueError):
                found[str(path)] = int(json.loads(path.read_text())["status"]["executions"])
        return found

    def fuzzes(self, number: int | None = None) -> None:
        """Wait until a host, or each of both, runs inputs from now on."""
        before = self.reports()

        def more() -> bool:
            now = self.reports()
            moved = {path for path, count in now.items() if count and count != before.get(path)}
            hosts = {Path(path).parents[2].name for path in moved}
            return hosts >= ({f"host-{number}"} if number is not None else {"host-1", "host-2"})

        wait_until(more, what="hosts to run inputs")

    def session(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.campaign / "campaign.json").read_text())["sessions"][-1]
        return found

    def close(self) -> None:
        """End all parts; units store what they have."""
        for name in sorted(self.processes):
            with contextlib.suppress(ProcessLookupError):
                self.processes[name].terminate()
        deadline = time.monotonic() + 60
        for process in self.processes.values():
            try:
                process.wait(max(deadline - time.monotonic(), 1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.s3.kill()
        for number in (1, 2):
            if self.network.real and f"host-{number}" in self.processes:
                self.kill_host(number)
        self.network.close()


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster whose parts are gone at the end."""
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.close()
