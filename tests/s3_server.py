"""A real S3 server on loopback, versitygw, which keeps its buckets in folders."""

from __future__ import annotations

import contextlib
import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]


class S3Server:
    """A server with one bucket, ``fuzz``. It can be killed and started again on the same address and folder."""

    def __init__(self, binary: str, folder: Path, address: str = "127.0.0.1") -> None:
        self._binary = binary
        self._address = address
        self.folder = folder
        (folder / "buckets" / "fuzz").mkdir(parents=True)
        self.key, self.secret = "harness-tests", secrets.token_hex(16)
        with socket.socket() as free:
            free.bind((address, 0))
            self.port = int(free.getsockname()[1])
        self.start()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self._binary,
                    "--port",
                    f"{self._address}:{self.port}",
                    "--quiet",
                    "posix",
                    str(self.folder / "buckets"),
                ],
                env={"ROOT_ACCESS_KEY": self.key, "ROOT_SECRET_KEY": self.secret},
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, what="the S3 server to answer")

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex((self._address, self.port)) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://{self._address}:{self.port}",
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }


def binary() -> str:
    """The path of the server's program. Skips the test where it cannot be built."""
    made = subprocess.run([ROOT / ".ci" / "s3server"], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no S3 server: {made.stderr.strip()}")
    return made.stdout.strip()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[S3Server]:
    """A server that is killed at the end."""
    server = S3Server(binary(), folder)
    try:
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def known(server: S3Server) -> Iterator[S3Server]:
    """Address and credentials of the server are in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server
