"""A target that dies on demand, installed as other people's targets are: by an entry point."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

DEADLY = """
import ctypes, os, signal, sys, time
from harness.findings.rule import Rule
from harness.findings.severity import WRONG_DATA
from harness.observation import ACCEPT, classify
from harness.oracles.oracle import oracle
from harness.targets.base import Target

RULE = Rule("ours", "deadly", "differential", WRONG_DATA, title="Never reported", why="The oracle fails before.")


@oracle(RULE)
def fail(execution):
    if execution.data.startswith(b"defect"):
        raise ZeroDivisionError("an oracle of ours")
    return []


class Deadly(Target):
    name, description, memory_mb, uses_parser, oracles = "deadly", "dies on demand", 128, False, (fail,)

    def open(self, safetensors):
        runs = []

        def run(data):
            runs.append(data)
            word = data.split(b" ")[0].decode()
            if word == "segv":
                os.kill(os.getpid(), signal.SIGSEGV)
            if word == "exit":
                os._exit(7)
            if word == "hang":
                time.sleep(3600)
            if word == "allocate":
                return classify_of(lambda: bytearray(1 << 30))
            if word == "abort":
                os.write(2, b"memory allocation of 99 bytes failed\\n")
                os.abort()
            if word == "panic":
                os.write(2, b"\\nthread '<unnamed>' panicked at src/tensor.rs:12:5:\\nboom\\n")
            if word == "print":
                print("between the frames", flush=True)
                os.write(1, b"and more")
            if word == "raise":
                return classify_of(lambda: {}["missing"])
            if word == "count":
                return ACCEPT, str(len(runs)), None
            return ACCEPT, "", None

        return run


def classify_of(action):
    try:
        action()
    except BaseException as error:
        return classify(error, ())


target = Deadly()
"""


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    site = tmp_path / "plugin"
    about = site / "deadly-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "deadly.py").write_text(DEADLY)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        textwrap.dedent("""\
            [safetensors_harness.targets]
            deadly = deadly:target
        """)
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    return "deadly"
