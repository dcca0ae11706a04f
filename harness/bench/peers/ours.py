"""Our campaign as a peer: whole, with one part off, and as a fuzzer of bytes that knows crashes alone.

All begin without committed seeds, but for one. Each runs all targets that can run here by one worker, as `harness fuzz` does.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.bench.peers import peer
from harness.bench.peers.builds import Builds
from harness.bench.peers.drive import Drive
from harness.bench.peers.peer import EVERY, NUMPY_LOAD, Peer, Session
from harness.bench.runner import Say
from harness.findings import store

#: Operators that keep what depends on their change consistent: later offsets, the buffer, the length prefix.
REPAIRING = (
    "alike.kind", "alike.tensor", "cross.tensor", "dtype.consistent", "offsets.equal", "offsets.hole", "offsets.overlap",
    "shape.kind", "shape.wrap", "shape.zero", "tensor.add", "tensor.few", "tensor.remove",
)  # fmt: skip
CROSSING = ("cross.shape", "cross.tensor")
#: Kinds of findings that a fuzzer without oracles has, too.
CRASHES = ("panic", "crash", "hang", "memory", "contract")


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is off. ``worker`` are fields of WorkerSettings; ``kinds`` are the kinds of findings that count, all if empty."""

    title: str
    worker: dict[str, Any] = field(default_factory=dict)
    disabled: tuple[str, ...] = ()
    even: bool = False
    seeds: bool = False
    kinds: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


#: The peers that are ours, by name. A name with a minus lacks a part; "ours+seeds" begins with the committed seeds.
PARTS = {
    "ours": Part("ours, from an empty corpus"),
    "ours+seeds": Part("ours with the committed seeds", seeds=True),
    "ours-grammar": Part("ours without grammar: libFuzzer's mutations of bytes", {"mutator": "bytes"}),
    "ours-repair": Part("ours without operators that repair what depends on a change", disabled=REPAIRING),
    "ours-crossover": Part("ours without crossover", {"crossover": False}, disabled=CROSSING),
    "ours-judge": Part("ours without oracles beyond crashes and undocumented errors", {"judge": False}, kinds=CRASHES),
    "ours-schedule": Part("ours with even shares of operators and targets", {"schedule": False}, even=True),
    "ours-semantic": Part("ours without semantic counters", {"semantics": False}),
    "bytes": Part(
        "byte-only atheris with the parser's counters, crashes alone",
        {"mutator": "bytes", "semantics": False, "judge": False},
        kinds=CRASHES,
        targets=("deserialize",),
    ),
}


class Ours(Peer):
    """A campaign of ours in a process of its own."""

    stops = False
    end = signal.SIGINT
    fine = frozenset({0, 1, 130})

    def __init__(self, name: str) -> None:
        self.part = PARTS[name]
        self.name, self.title = name, self.part.title
        self.bugs = NUMPY_LOAD - {27} if self.part.targets else EVERY

    def prepare(self, builds: Builds, say: Say) -> None:
        """Nothing is compiled beyond the build."""
        self._parser = builds.sancov.name

    def command(self, session: Session) -> list[str]:
        """Its campaign goes on where an earlier session ended."""
        session.place.mkdir(parents=True, exist_ok=True)
        part = self.part
        options = (f"-dict={peer.dictionary()}",) if part.targets else ()
        drive = Drive(
            session.place / "campaign", self._parser, session.seconds * session.slowdown, session.seed, part.targets,
            part.disabled, part.even, not part.seeds, part.worker | ({"options": options} if options else {}),
        )  # fmt: skip
        path = session.place / "drive.json"
        drive.save(path)
        return peer.python("drive", str(path))

    def findings(self, place: Path) -> list[Path]:
        """The inputs of its findings, where the record that follows each is there."""
        found = (place / "campaign" / "findings").glob(f"*/{store.INPUT}")
        return [path for path in found if path.with_name(store.ABOUT).is_file()]
