"""Every target on the instrumented build, which needs a process of its own, against the plain release in this one."""

from __future__ import annotations

import json
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from harness.format.encode import pack
from harness.parsers.registry import Parser
from harness.targets.huge.program import Step, encode
from harness.targets.registry import get_target
from tests.waiting import LONG

SCRIPT = """
import json, sys
from harness.parsers import registry, runtime
from harness.targets.registry import get_target
module = runtime.load(registry.find(sys.argv[1]))
answers = {}
for name, inputs in json.load(sys.stdin).items():
    target = get_target(name)
    run = target.open(module if target.uses_parser else None)
    answers[name] = [run(bytes.fromhex(data))[:2] for data in inputs]
json.dump(answers, sys.stdout)
"""

FILES = [
    pack([("a", "F32", (2,), b"12345678"), ("b", "U8", (0, 3), b"")], {"k": "v"}),
    pack([]),
    pack([("a", "U8", (1,), b"x")])[:-1],
    b"\x03\0\0\0\0\0\0\0{,}",
    b"\xff" * 8,
    b"",
]
PROGRAMS = [encode(steps) for steps in ((Step("tensors", 300),), (Step("prefix", 1),), (Step("big", 1 << 33),))]
INPUTS = {"deserialize": FILES, "safe_open": FILES, "model": FILES, "huge": PROGRAMS}


@pytest.fixture(scope="module")
def instrumented(sancov_parser: Parser) -> dict[str, Any]:
    message = json.dumps({name: [data.hex() for data in inputs] for name, inputs in INPUTS.items()})
    child = subprocess.run(
        [sys.executable, "-c", SCRIPT, sancov_parser.name],
        check=False,
        input=message,
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert child.returncode == 0, child.stderr[-2_000:]
    answers: dict[str, Any] = json.loads(child.stdout[child.stdout.index("{") :])
    return answers


@pytest.mark.parametrize("name", INPUTS)
def test_the_instrumented_build_answers_like_the_release(
    instrumented: dict[str, Any], safetensors: ModuleType, name: str
):
    target = get_target(name)
    run = target.open(safetensors if target.uses_parser else None)
    answers = [list(run(data)[:2]) for data in INPUTS[name]]
    assert instrumented[name] == answers
    assert {outcome for outcome, _ in answers} == {"accept", "reject"}
