"""Peers in Rust that link the crate: libFuzzer with upstream's one-line target, a structured target, and AFL++.

Each is compiled from the source of the same build, so that it has the bugs of the crate. libFuzzer's peers get the sancov
counters that `cargo fuzz` sets. AFL++ runs its persistent mode, as `cargo afl` compiles it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from harness.bench.native import FLAGS, compiled
from harness.bench.peers import peer
from harness.bench.peers.builds import Builds
from harness.bench.peers.peer import CRATE, DESERIALIZE, EndingPeer, Session
from harness.bench.runner import Say
from harness.files import alone
from harness.parsers import toolchain

_RUST = Path(__file__).with_name("rust")
_MANIFEST = """\
[package]
name = "peer"
version = "0.0.0"
edition = "2021"
publish = false

[[bin]]
name = "peer"
path = "main.rs"

[dependencies]
{dependencies}
safetensors = {{ path = {path} }}

[workspace]

[profile.release]
debug = 1
overflow-checks = true
debug-assertions = true
"""
#: Versions of cargo-afl and of the crate afl, which are one. `.ci/peers` installs cargo-afl.
AFL = "0.18.2"


def _compiled(
    name: str, main: str, dependencies: str, builds: Builds, command: list[str], variables: Mapping[str, str]
) -> Path:
    """Compile a program against the source of the build; returns it. Raises HarnessError with the compiler's message."""
    crate = builds.sancov.source / "safetensors"
    place = peer.folder() / "programs" / name
    place.mkdir(parents=True, exist_ok=True)
    with alone(place / "lock", lambda: None):
        manifest = _MANIFEST.format(dependencies=dependencies, path=json.dumps(str(crate)))
        text = (_RUST / main).read_text(encoding="utf-8")
        return compiled(place, manifest, text, "peer", command, variables, f"the peer {name}")


class LibFuzzer(EndingPeer):
    """libFuzzer with upstream's own target: ``SafeTensors::deserialize`` on the bytes, and no check of the answer."""

    name = "libfuzzer"
    title = "libFuzzer, upstream's one-line target"
    bugs = DESERIALIZE
    _main, _dependencies = "deserialize.rs", 'libfuzzer-sys = "=0.4.13"'
    _program = Path()

    def missing(self) -> str:
        """Cargo and a compiler of C++ make it."""
        return peer.program("cargo") or peer.program("c++")

    def prepare(self, builds: Builds, say: Say) -> None:
        """Compile it."""
        self._program = _compiled(self.name, self._main, self._dependencies, builds, ["cargo"], {"RUSTFLAGS": FLAGS})

    def command(self, session: Session) -> list[str]:
        """LibFuzzer with its own defaults."""
        return [str(self._program), *peer.libfuzzer(session)]

    def replay(self, path: Path) -> list[str]:
        """LibFuzzer runs a file that is named."""
        return [str(self._program), str(path)]


class Generator(LibFuzzer):
    """Structured inputs by the crate arbitrary, and checks of sizes, parts and round trips, written by hand."""

    name = "generator"
    title = "hand-written generator and checks behind libFuzzer"
    bugs = CRATE - {16}  # it never asks for the offsets of one tensor
    _main = "generator.rs"
    _dependencies = 'libfuzzer-sys = "=0.4.13"\narbitrary = { version = "=1.4.2", features = ["derive"] }'

    def command(self, session: Session) -> list[str]:
        """Its inputs are no text, so it has no words; long inputs from the start, as it makes lists of them."""
        words = [word for word in super().command(session) if not word.startswith("-dict=")]
        return [*words, "-len_control=0"]


class Afl(EndingPeer):
    """AFL++ with upstream's own target. It goes on after a crash, and needs an input to begin with: one byte."""

    name = "afl"
    title = "AFL++, upstream's one-line target"
    bugs = DESERIALIZE
    stops = False
    end = signal.SIGINT
    fine = frozenset({0, 1, -signal.SIGINT})
    _program = Path()

    def __init__(self, libraries: Path | None = None) -> None:
        """``libraries``: the folder in which `.ci/peers` installed cargo-afl; None: on PATH, with AFL++ in its usual place."""
        self._libraries = None if libraries is None else libraries.resolve()

    def environment(self) -> Mapping[str, str]:
        """No questions about the machine's settings, no screen, and no binding to a core: the bench binds it."""
        on = (
            "AFL_NO_UI",
            "AFL_SKIP_CPUFREQ",
            "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES",
            "AFL_NO_AFFINITY",
            "AFL_AUTORESUME",
        )
        return dict.fromkeys(on, "1")

    def _tools(self) -> dict[str, str]:
        """Variables with which cargo finds cargo-afl, and that finds its AFL++."""
        if self._libraries is None:
            return {}
        search = os.pathsep.join([str(self._libraries / "bin"), os.environ["PATH"]])
        share = self._libraries / "share"
        # AFL++ may lie in its usual place all the same.
        return {"PATH": search} | (
            {"XDG_DATA_HOME": str(share)} if any(share.glob("afl.rs/*/*/afl/bin/afl-fuzz")) else {}
        )

    def _fuzzer(self) -> Path:
        """afl-fuzz where cargo-afl keeps that of the present compiler. Run by itself, it gets our signals."""
        share = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        data = Path(self._tools().get("XDG_DATA_HOME", share))
        compiler = toolchain.compiler()
        of = f"rustc-{compiler.release}-{compiler.commit[:7]}"
        return data / "afl.rs" / of / f"afl.rs-{AFL}" / "afl" / "bin" / "afl-fuzz"

    def missing(self) -> str:
        """cargo-afl in its locked version, with AFL++ built for the present compiler."""
        try:
            done = subprocess.run(
                ["cargo", "afl", "--version"],
                env=os.environ | self._tools(),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return f"cargo afl does not answer: {error}"
        if f"cargo-afl {AFL}" not in done.stdout:
            return f"there is no cargo-afl {AFL}; .ci/peers installs it"
        return (
            ""
            if self._fuzzer().is_file()
            else f"AFL++ is not built for {toolchain.compiler()}: cargo afl config --build"
        )

    def prepare(self, builds: Builds, say: Say) -> None:
        """Compile it by `cargo afl`, with the checks of the other peers."""
        command = ["cargo", "afl"]
        self._program = _compiled(self.name, "afl.rs", f'afl = "={AFL}"', builds, command, self._tools())

    def command(self, session: Session) -> list[str]:
        """afl-fuzz on its output folder, which it takes up again."""
        seeds, found = session.place / "seeds", session.place / "out"
        seeds.mkdir(parents=True, exist_ok=True)
        (seeds / "one").write_bytes(b"0")
        return [
            str(self._fuzzer()), "-i", str(seeds), "-o", str(found), "-s", str(session.seed), "-x", str(peer.dictionary()),
            "--", str(self._program),
        ]  # fmt: skip

    def replay(self, path: Path) -> list[str]:
        """Without afl-fuzz around it, the program reads one input from the standard input."""
        return ["sh", "-c", 'exec "$1" < "$2"', "sh", str(self._program), str(path)]

    def findings(self, place: Path) -> list[Path]:
        """Its inputs that crash or hang."""
        return [path for kind in ("crashes", "hangs") for path in (place / "out" / "default" / kind).glob("id*")]
