"""A short fuzzing run on a parser, with the figures of libFuzzer's log.

``python -m harness.parsers.probe NAME`` is the process that fuzzes; :func:`probe` starts it.
"""

from __future__ import annotations

import contextlib
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
    """Figures of the ``log``: ``counters`` that libFuzzer sees, ``edges`` at the end, whether all runs ``executed``.

    ``mutator``: libFuzzer found Python's custom mutator.
    """

    mutator: bool
    counters: int
    edges: int
    executed: bool
    log: str


def probe(parser: Parser, timeout: float = 120) -> Probe:
    """Fuzz ``deserialize`` of this parser for a few hundred runs; ``timeout`` in seconds."""
    variables = {**os.environ, **runtime.environment(parser, mutator=True)}
    variables |= {"PYTHONPATH": runtime.python_path(), "HARNESS_HOME": str(paths.home())}
    command = [sys.executable, "-m", "harness.parsers.probe", parser.name]
    with tempfile.TemporaryDirectory() as folder:
        try:
            process = subprocess.run(
                command, env=variables, cwd=folder, capture_output=True, timeout=timeout, check=False
            )
            log = process.stderr
        except subprocess.TimeoutExpired as error:
            log = error.stderr or b""
    return read_log(log.decode(errors="replace"))


def read_log(log: str) -> Probe:
    """Figures of libFuzzer's log."""
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
    """The process that fuzzes."""
    os.environ.setdefault("RUST_BACKTRACE", "0")
    parser = registry.find(sys.argv[1])
    safetensors = runtime.load(parser, mutator=True)
    import atheris

    def run(data: bytes) -> None:
        # A panic is a BaseException.
        with contextlib.suppress(BaseException):
            safetensors.deserialize(data)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        header = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (seed % 3, seed % 4)
        return (len(header).to_bytes(8, "little") + header + bytes(seed % 4))[:max_size]

    arguments = [sys.argv[0], f"-runs={_RUNS}", "-max_len=512"]
    atheris.Setup(arguments, run, custom_mutator=mutate, internal_libfuzzer=runtime.internal_libfuzzer(parser))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
