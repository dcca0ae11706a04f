"""Inputs in a forked child: every kind of death, nothing lost, coverage and findings as in process."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.engine.worker.fork_router import hazards
from harness.engine.worker.fork_server import ForkServer, Remote
from harness.engine.worker.slot import Slot, read
from harness.findings.finding import Finding
from harness.findings.rule import Rule
from harness.findings.severity import WRONG_DATA
from harness.observation import ACCEPT, Observation, Run, classify
from harness.oracles.oracle import Execution, oracle
from harness.programs import progress
from harness.targets.base import PROGRAM, Target
from harness.targets.lifecycle.program import VOCABULARY
from harness.targets.lifecycle.target import Lifecycle
from tests.waiting import ended, wait_until

RULE = Rule("rule", "own", "differential", WRONG_DATA, title="A word of ours", why="The program has the word w.")
FOUND = Finding(RULE, "aspect", "summary")


@oracle(RULE)
def words(execution: Execution) -> list[Finding]:
    """Fails on one letter, and reports another."""
    if b"d" in execution.data:
        raise ZeroDivisionError("an oracle of ours")
    return [FOUND] if b"w" in execution.data else []


def spin() -> None:
    """Use a quarter of a second of CPU time."""
    until = time.process_time() + 0.25
    while time.process_time() < until:
        pass


def use_up_cpu() -> None:
    """Lower the limit to what may be used up already, and say what it was."""
    before, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (1, most))
    raise ValueError(str(before))


class Deadly(Target):
    """A target of programs of one byte a step, most of which kill."""

    name, description, max_len, memory_mb, uses_parser = "deadly", "dies on demand", 64, 64, False
    input_kind = PROGRAM
    oracles = (words,)
    unit = 1
    timeout_s = 60.0
    runs_in_fork_server = True
    actions = {  # noqa: RUF012
        "s": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        "b": lambda: os.kill(os.getpid(), signal.SIGBUS),
        "a": os.abort,
        "x": lambda: os._exit(7),
        "h": lambda: time.sleep(3600),
        "m": lambda: bytearray(1 << 30),
        "n": lambda: os.write(2, b"memory allocation of 99 bytes failed\n") and os.abort(),
        "o": lambda: os.write(2, b"\nthread 'main' has overflowed its stack\n") and os.abort(),
        "c": use_up_cpu,
        "u": spin,
        "f": lambda: os.truncate(os.environ["DEADLY_FILE"], 65 << 20),
    }

    def open(self, safetensors: ModuleType | None) -> Run:
        cell = progress.cell()

        def run(data: bytes) -> Observation:
            for number, letter in enumerate(data.decode("latin-1"), 1):
                cell[0] = number
                try:
                    self.actions.get(letter, int)()
                except BaseException as error:
                    return classify(error, ())
            return ACCEPT, "", None

        return run

    def call_names(self, data: bytes) -> list[str]:
        return [f"call-{letter}" for letter in data.decode("latin-1")]

    def features(self, observation: Observation) -> list[str]:
        return ["ran"]


Start = Callable[..., ForkServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[ForkServer] = []
    before = progress.cell()

    def go(target: Target, **options: Any) -> ForkServer:
        slot = Slot(tmp_path / "slot", 256)
        progress.use(slot.cell)
        server = ForkServer(target, None, slot, tmp_path, **options)
        server.open(target.open(None))
        made.append(server)
        return server

    yield go
    progress.use(before)
    for server in made:
        server.close()


@pytest.mark.parametrize(
    ("program", "outcome", "aspect"),
    [
        (b"--s-", "crash", "SIGSEGV/call-s"),
        (b"b", "crash", "SIGBUS/call-b"),
        (b"-a", "crash", "SIGABRT/call-a"),
        (b"-x", "crash", "exit status 7/call-x"),
        (b"h", "hang", "timeout/call-h"),
        (b"-m", "memory", "allocation/call-m"),
        (b"-n", "memory", "allocation/call-n"),
        (b"--o", "crash", "stack-overflow/call-o"),
    ],
)
def test_each_kind_of_death_is_a_finding_that_names_the_call(
    start: Start, program: bytes, outcome: str, aspect: str
) -> None:
    target = Deadly()
    # A hang is waited for; what else is slow on a busy machine is none.
    target.timeout_s = 5.0 if outcome == "hang" else target.timeout_s
    server = start(target)
    assert server(b"--") == Remote(ACCEPT, "", [], ["ran"])
    dead = server(program)
    assert dead.outcome == outcome
    assert [(found.oracle, found.kind, found.aspect) for found in dead.findings] == [("isolation", outcome, aspect)]
    # The batch goes on, in a child of its own.
    assert server(b"w").findings == [FOUND.on("deadly")]


def test_a_file_past_the_limit_is_refused_and_kills_nobody(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large").touch()
    monkeypatch.setenv("DEADLY_FILE", str(tmp_path / "large"))
    server = start(Deadly())
    remote = server(b"f")
    assert (remote.outcome, remote.error.partition(":")[0]) == ("raise", "OSError")
    assert server(b"-").outcome == ACCEPT
    assert server.children == 1


def test_a_zygote_that_is_killed_costs_one_input(start: Start) -> None:
    server = start(Deadly())
    assert server(b"-").outcome == ACCEPT
    assert server._zygote is not None
    os.kill(server._zygote.pid, signal.SIGKILL)
    with pytest.raises(OSError):
        server(b"h")
    assert server(b"-").outcome == ACCEPT


def test_the_cpu_time_of_a_child_counts_while_it_runs(start: Start) -> None:
    server = start(Deadly())
    before = server.cpu_seconds()
    assert server(b"u").outcome == ACCEPT
    assert server.cpu_seconds() - before > 0.2
    server._end_child()
    assert server.cpu_seconds() - before > 0.2


def test_many_inputs_share_a_child_and_a_batch_has_an_end(start: Start) -> None:
    server = start(Deadly(), batch=10)
    for _ in range(25):
        assert server(b"-").outcome == ACCEPT
    assert server.children == 3


def test_a_child_ends_by_its_age_unless_it_has_none(start: Start) -> None:
    """A run of N executions has children without an age: a busy machine must not change what they hold."""
    for age, children in ((-1.0, 3), (inf, 1)):
        server = start(Deadly(), age=age)
        for _ in range(3):
            assert server(b"-").outcome == ACCEPT
        assert server.children == children


def test_each_input_has_the_whole_time_of_the_processor(start: Start) -> None:
    server = start(Deadly())
    first, second = (server(b"c").error for _ in range(2))
    assert server.children == 1
    assert 60 <= int(first.rpartition(" ")[2]) <= int(second.rpartition(" ")[2])


def test_a_defect_of_ours_is_ours(start: Start) -> None:
    server = start(Deadly())
    with pytest.raises(RuntimeError, match="an oracle of ours"):
        server(b"d")
    assert server(b"-").outcome == ACCEPT
    assert server.children == 1


def test_a_known_killer_is_guarded_by_the_steps_it_takes_and_met_now_and_then(start: Start) -> None:
    server = start(Deadly())
    assert server.wanted(b"-s-", "")
    assert server(b"--s").outcome == "crash"
    assert server.guards == [[b"s"]]
    met = [server.wanted(b"xs" + bytes([65 + number % 20]), "") for number in range(64)]
    assert met.count(True) == 2
    assert server.wanted(b"-b-", "")


def test_a_hazard_that_the_target_knows_is_met_a_few_times_then_seldom(start: Start) -> None:
    server = start(Deadly())
    runs = 0
    for _ in range(100):
        if server.wanted(b"b", "SIGBUS/call-b"):
            assert server(b"b", "SIGBUS/call-b").outcome == "crash"
            runs += 1
    assert 8 <= runs <= 12


KILLED = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_fork_server import Deadly
from harness.engine.worker.fork_server import ForkServer
from harness.engine.worker.slot import Slot
from harness.programs import progress
folder = Path(sys.argv[1])
slot = Slot(folder / "slot", 256)
progress.use(slot.cell)
target = Deadly()
server = ForkServer(target, None, slot, folder)
server.open(target.open(None))
server(b"-")
print(server._pid, flush=True)
server(b"--h")
"""


def test_kill_9_of_the_worker_leaves_the_input_and_its_call_and_no_child(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), str(Path(__file__).parent)])},
    )
    with worker:
        assert worker.stdout is not None
        child = int(worker.stdout.readline())
        try:
            wait_until(lambda: read(tmp_path / "slot") == (b"--h", 3), what="the third call runs")
        finally:
            worker.kill()
    assert read(tmp_path / "slot") == (b"--h", 3)
    wait_until(lambda: ended(child), what="the child ends with its worker")


def test_lifecycle_runs_apart_only_what_its_model_fears() -> None:
    choose = hazards(Lifecycle())
    assert choose is not None
    step, encode = VOCABULARY.step, VOCABULARY.encode
    assert choose(encode([step("open"), step("cut"), step("get_tensor")])) == "SIGBUS/get_tensor"
    assert choose(encode([step("open"), step("get_tensor")])) == ""
    assert hazards(Lifecycle(), everything=False) is None
    assert hazards(Deadly()) is not None


COUNTED = """
import json, sys
from pathlib import Path
from harness.engine.worker.fork_server import ForkServer
from harness.engine.worker.native import NativeCounters
from harness.engine.worker.slot import Slot
from harness.parsers import registry, runtime
from harness.programs import progress
from harness.targets.registry import get_target
folder = Path(sys.argv[1])
parser = registry.find(None, flavour="sancov")
module = runtime.load(parser)
target = get_target("slices")
slot = Slot(folder / "slot", 4096)
progress.use(slot.cell)
run = target.open(module)
counters = NativeCounters(parser.module)
server = ForkServer(target, counters, slot, folder)
server.open(run)
rows = []
for data in target.seeds().values():
    run(data)  # opens its file, which stays open
    counters.clear()
    run(data)
    inside = sorted(counters.edges())
    counters.clear()
    assert server(data).outcome in ("accept", "reject")
    rows.append((inside, sorted(counters.edges())))
    server.close()
print(json.dumps(rows))
"""


def test_what_a_forked_run_reaches_stands_in_the_workers_own_counters(tmp_path: Path, sancov_parser: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(done.stdout)
    assert len(rows) >= 8
    assert all(inside == apart for inside, apart in rows)
    assert len({tuple(apart) for _, apart in rows}) > 4
