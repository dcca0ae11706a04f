"""A peer: one way to fuzz the parser. Each kind has a file of its own beside this one."""

from __future__ import annotations

import shutil
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import paths
from harness.bench.peers.builds import Builds
from harness.bench.runner import Say

#: Bugs that some input can trigger: of `SafeTensors::deserialize`, of all of the crate's code in memory, of
#: `safetensors.numpy.load`, of the calls of the Hypothesis peer; and all of them.
DESERIALIZE = frozenset({1, 2, 9, 10, 11, 12, 14, 15, 25})
CRATE = DESERIALIZE | {5, 13, 16, 17, 18}
NUMPY_LOAD = DESERIALIZE | {13, 27}
CALLS = NUMPY_LOAD | {3, 4, 5, 6, 16, 17, 18, 21, 22, 23, 24, 26, 30, 31}
EVERY = frozenset(range(1, 33))

#: Words of the format. Every peer that mutates bytes gets them as its dictionary, as its manual advises for formats of text.
WORDS = (
    "{", "}", "[", "]", ":", ",", '"', "{}", "[]", "[0,0]", '"__metadata__":{', '"dtype":', '"shape":[', '"data_offsets":[',
    '"BOOL"', '"F4"', '"U8"', '"I8"', '"F8_E5M2"', '"F8_E4M3"', '"I16"', '"F16"', '"BF16"', '"I32"', '"F32"', '"I64"',
    '"F64"', '"C64"', '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', "\\x00\\x00\\x00\\x00\\x00\\x00\\x00",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Session:
    """One start of a peer's program: its folder, which its earlier sessions used, its seed, and the CPU seconds left.

    ``slowdown``: seconds of the clock for a CPU second, at present.
    """

    place: Path
    seed: int
    seconds: float
    slowdown: float = 1.0


class Peer(ABC):
    """One way to fuzz. ``name`` and ``title`` are those of its row; ``bugs`` are those that its calls can trigger."""

    name: str
    title: str
    bugs: frozenset[int]
    #: Whether its program ends at its first finding. Then the bug is switched off, and the program goes on with its corpus.
    stops = True
    #: The signal that ends its program in good order.
    end = signal.SIGTERM
    #: Exit statuses of a session that ran: its end by a finding, by time, or by that signal.
    fine: frozenset[int] = frozenset({0, 77, -signal.SIGTERM})

    def missing(self) -> str:
        """The reason why it cannot run here, as a clause; "" where it can."""
        return ""

    @abstractmethod
    def prepare(self, builds: Builds, say: Say) -> None:
        """Compile all that it needs. Raises HarnessError."""

    @abstractmethod
    def command(self, session: Session) -> list[str]:
        """The command line of a session."""

    def environment(self) -> Mapping[str, str]:
        """Variables of its programs."""
        return {}

    def findings(self, place: Path) -> list[Path]:
        """The inputs of its findings so far, in any order."""
        return [path for path in (place / "found").glob("*") if path.is_file()]


class EndingPeer(Peer):
    """A peer whose findings are inputs that end its program."""

    @abstractmethod
    def replay(self, path: Path) -> list[str]:
        """The command line that runs the input at ``path`` alone; a finding shows by an exit status above or below 0."""


def folder() -> Path:
    """The folder of all programs, trials and results."""
    return paths.build_dir() / "bench" / "peers"


def dictionary() -> Path:
    """The file of :data:`WORDS`, as libFuzzer and AFL++ read it."""
    path = folder() / "words.dict"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [word if "\\x" in word else word.replace('"', '\\"') for word in WORDS]
    path.write_text("".join(f'word{number}="{line}"\n' for number, line in enumerate(lines)))
    return path


def libfuzzer(session: Session) -> list[str]:
    """LibFuzzer's options, for its own programs and for atheris: the corpus of earlier sessions, and the words."""
    corpus, found = session.place / "corpus", session.place / "found"
    for path in (corpus, found):
        path.mkdir(parents=True, exist_ok=True)
    return [
        str(corpus), f"-seed={session.seed}", f"-dict={dictionary()}", f"-artifact_prefix={found}/", "-close_fd_mask=3",
        "-detect_leaks=0", "-reload=0",
    ]  # fmt: skip


def python(module: str, *arguments: str) -> list[str]:
    """The command line of a module beside this one."""
    return [sys.executable, "-m", f"harness.bench.peers.{module}", *arguments]


def program(name: str) -> str:
    """The reason why a program is missing, or ""."""
    return "" if shutil.which(name) else f"there is no {name} on this machine"
