"""A child for test_batches: writes down what it ran, at its end or as it goes, and dies of some inputs."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from harness.coverage import batches
from harness.targets import scratch


def main(spec: dict) -> None:
    done: list[str] = []
    scratch.folder("dying")

    def run_one(index: int, data: bytes) -> None:
        if data == b"segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if data == b"exit":
            os._exit(7)
        if data == b"once" and not Path(spec["mark"]).exists():
            Path(spec["mark"]).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if data == b"hang":
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            time.sleep(30)
        if data == b"sleep":
            time.sleep(batches.TIMEOUT_S)
        if data == b"defect":
            raise LookupError("a defect of the harness")
        done.append(f"{index} {data.decode()}")

    if spec.get("broken"):
        sys.exit("cannot load the parser")
    batches.serve(spec, run_one)
    Path(spec["out"], str(spec["process"])).write_text("\n".join(done))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
