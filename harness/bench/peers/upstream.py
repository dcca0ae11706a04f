"""The peer in upstream's style: atheris with Python instrumentation on ``safetensors.numpy.load`` of the plain wheel.

Upstream's fuzz.py loads a file into torch and ignores every exception. This one spares torch and the file, so that it is
faster. It ignores the exceptions of bad files alone: of the parser, and of numpy for a dtype or shape that it lacks.

``python -m harness.bench.peers.upstream PARSER OPTION...`` takes libFuzzer's options; ``--replay FILE`` runs one input.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.bench.peers import peer
from harness.bench.peers.builds import Builds
from harness.bench.peers.peer import NUMPY_LOAD, EndingPeer, Session
from harness.bench.runner import Say
from harness.parsers import registry, runtime


class Upstream(EndingPeer):
    """Atheris as upstream uses it."""

    name = "python"
    title = "atheris in upstream's style, Python instrumentation"
    bugs = NUMPY_LOAD
    fine = EndingPeer.fine | {72}  # libFuzzer's status for its end by a signal

    def prepare(self, builds: Builds, say: Say) -> None:
        """Nothing is compiled beyond the build."""
        self._parser = builds.wheel.name

    def command(self, session: Session) -> list[str]:
        """LibFuzzer's defaults."""
        return peer.python("upstream", self._parser, *peer.libfuzzer(session))

    def replay(self, path: Path) -> list[str]:
        """Without atheris."""
        return peer.python("upstream", self._parser, "--replay", str(path))


def _loads() -> Callable[[bytes], None]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    def test_one_input(data: bytes) -> None:
        with contextlib.suppress(SafetensorError, KeyError, ValueError):
            load(data)

    return test_one_input


def main(arguments: Sequence[str]) -> None:
    """Fuzz, or replay."""
    name, *options = arguments
    parser = registry.find(name, flavour="wheel")
    if options[0] == "--replay":
        runtime.load(parser)
        _loads()(Path(options[1]).read_bytes())
        return
    import atheris

    with atheris.instrument_imports(include=["safetensors"]):
        runtime.load(parser)
        run: Any = _loads()
    atheris.Setup(["upstream", *options], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
