"""Proof that a fuzzing engine sees into a parser: a short run in a process of its own, and what libFuzzer said of it.

``python -m harness.parsers.probe NAME`` is that process; :func:`probe` starts it.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import tempfile

from harness import paths
from harness.parsers import registry, runtime
from harness.parsers.registry import Parser

_RUNS = 200


@dataclasses.dataclass(frozen=True)
class Probe:
    """What was heard."""

    mutator: bool
    """libFuzzer found Python's custom mutator."""
    counters: int
    """How many native 8-bit counters it was given; 0 when it sees nothing of the parser."""
    edges: int
    """How many edges it had reached at the end of the run."""
    executed: bool
    """All runs took place."""
    log: str
    """What the process printed."""


def probe(parser: Parser, timeout: float = 120) -> Probe:
    """Fuzz ``deserialize`` of this parser for a few hundred runs; ``timeout`` in seconds."""
    variables = {**os.environ, **runtime.environment(parser, mutator=True)}
    variables |= {"PYTHONPATH": runtime.python_path(), "HARNESS_HOME": str(paths.home())}
    command = [sys.executable, "-m", "harness.parsers.probe", parser.name]
    with tempfile.TemporaryDirectory() as folder:
        try:
            process = subprocess.run(
                command,
                env=variables,
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
            log = process.stderr
        except subprocess.TimeoutExpired as error:
            log = (error.stderr or b"").decode(errors="replace")
    return read_log(log)


def read_log(log: str) -> Probe:
    """What libFuzzer's log says."""
    tables = re.findall(r"Loaded \d+ modules\s+\((\d+) inline 8-bit counters\)", log)
    edges = re.findall(r"\bcov: (\d+)", log)
    return Probe(
        mutator="found LLVMFuzzerCustomMutator" in log,
        counters=max(map(int, tables), default=0),
        edges=max(map(int, edges), default=0),
        executed=f"Done {_RUNS} runs" in log or re.search(rf"#{_RUNS}\s+DONE", log) is not None,
        log=log,
    )


def main() -> None:
    """The process that is looked at."""
    os.environ.setdefault("RUST_BACKTRACE", "0")
    parser = registry.find(sys.argv[1])
    safetensors = runtime.load(parser, mutator=True)
    import atheris

    def run(data: bytes) -> None:
        # A panic is a BaseException; what the parser answers is of no interest here.
        try:
            safetensors.deserialize(data)
        except BaseException:
            return

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        header = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (seed % 3, seed % 4)
        return (len(header).to_bytes(8, "little") + header + bytes(seed % 4))[:max_size]

    internal = runtime.internal_libfuzzer(parser)
    atheris.Setup(
        [sys.argv[0], f"-runs={_RUNS}", "-max_len=512"], run, custom_mutator=mutate, internal_libfuzzer=internal
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
