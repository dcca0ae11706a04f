from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import EngineError
from harness.format.encode import pack
from harness.parsers.registry import Parser
from harness.replay import replay
from harness.replay.replay import Replayer

FILE = pack([("a", "U8", (2,), b"xy")], None)
TWICE = b"\x0d\0\0\0\0\0\0\0" + b'{"a":0,"a":0}'
TWICE_IN_METADATA = b"\x24\0\0\0\0\0\0\0" + b'{"__metadata__":{"a":"1","a":"2"}}  '


@pytest.mark.parametrize("flavour", ["sancov", "wheel"])
@pytest.mark.parametrize("target", ["deserialize", "safe_open"])
def test_a_defect_shows_on_instrumented_and_plain_builds_alike(
    flavour: str, target: str, sancov_parser: Parser, wheel_parser: Parser
):
    parser = sancov_parser if flavour == "sancov" else wheel_parser
    with Replayer(parser, target) as replayer:
        assert replayer.run(FILE).outcome == "accept"
        assert replayer.run(FILE).findings == ()
        found = replayer.run(TWICE_IN_METADATA)
        refused = replayer.run(TWICE)
    assert (found.outcome, found.error) == ("accept", "")
    assert f"{target}|differential|header.duplicate-key|accepted/metadata-key" in found.signatures
    assert refused.outcome == "reject"
    assert refused.findings == ()
    assert "invalid JSON" in refused.error


def test_the_judge_is_replayed_without_a_parser():
    result = replay.once(None, "model", TWICE)
    assert (result.outcome, result.error, result.findings) == ("reject", "header.duplicate-key", ())


def test_one_child_serves_many_runs_and_once_uses_a_fresh_one(deadly: str):
    with Replayer(None, deadly) as replayer:
        assert [replayer.run(b"count").error for _ in range(3)] == ["1", "2", "3"]
    assert [replay.once(None, deadly, b"count").error for _ in range(2)] == ["1", "1"]


@pytest.mark.parametrize(
    ("data", "outcome", "error", "signature"),
    [
        (b"segv", "crash", "SIGSEGV", "deadly|crash|crash|SIGSEGV"),
        (b"exit", "crash", "exit status 7", "deadly|crash|crash|exit status 7"),
        (b"abort", "memory", "memory allocation of 99 bytes failed", "deadly|memory|memory|allocation"),
        (b"allocate", "memory", "MemoryError: ", "deadly|memory|memory|allocation"),
    ],
)
def test_a_death_is_told_and_the_next_run_goes_on(deadly: str, data: bytes, outcome: str, error: str, signature: str):
    with Replayer(None, deadly) as replayer:
        result = replayer.run(data)
        assert (result.outcome, result.error, result.signatures) == (outcome, error, (signature,))
        assert replayer.run(b"fine").outcome == "accept"


def test_a_hang_ends_at_its_limit(deadly: str):
    with Replayer(None, deadly) as replayer:
        result = replayer.run(b"hang", timeout_s=0.3)
        assert (result.outcome, result.signatures) == ("hang", ("deadly|hang|hang|timeout",))
        assert replayer.run(b"count").error == "1"


def test_an_undocumented_error_is_a_finding(deadly: str):
    result = replay.once(None, deadly, b"raise")
    assert result.outcome == "raise"
    assert result.signatures == ("deadly|contract|raise|KeyError: _",)


def test_what_the_parser_prints_does_not_get_between_the_frames(deadly: str):
    with Replayer(None, deadly) as replayer:
        assert replayer.run(b"print").outcome == "accept"
        assert replayer.run(b"count").error == "2"


def test_the_place_of_a_panic_is_read_from_what_the_child_printed(deadly: str):
    with Replayer(None, deadly) as replayer:
        assert replayer.run(b"panic").place == "src/tensor.rs:12"
        assert replayer.run(b"fine").place == ""


def test_a_defect_of_an_oracle_is_not_blamed_on_the_parser(deadly: str):
    with Replayer(None, deadly) as replayer:
        with pytest.raises(EngineError, match="ZeroDivisionError: an oracle of ours"):
            replayer.run(b"defect")
        assert replayer.run(b"fine").outcome == "accept"


def test_a_large_input_goes_through(deadly: str):
    assert replay.once(None, deadly, b"fine " + bytes(5_000_000)).outcome == "accept"


def test_what_many_runs_of_another_implementation_end_in_is_not_taken_for_what_one_shows(deadly: str, tmp_path: Path):
    module = tmp_path / "plugin" / "deadly.py"
    text = module.read_text().replace("128, False, (fail,)", "128, True, (fail,)")
    assert text != module.read_text()
    tired = text.replace(
        'if word == "exit":', 'if len(runs) > 1:\n                os.abort()\n            if word == "exit":'
    )
    assert tired.count("os.abort()") == text.count("os.abort()") + 1
    seen = []
    for foreign in ("", "    foreign = {'another': ('SIGABRT',)}\n\n"):
        module.write_text(tired.replace("    def open", f"{foreign}    def open"))
        sys.modules.pop("deadly", None)
        seen.append(replay.once(None, deadly, b"raise").signatures)
    assert seen == [("deadly|crash|crash|SIGABRT/framing.length",), ("deadly|contract|raise|KeyError: _",)]


def test_no_child_is_left_behind(deadly: str):
    replayer = Replayer(None, deadly)
    replayer.run(b"fine")
    assert replayer._child is not None
    number = replayer._child.pid
    replayer.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_group_is_left_to_the_parent(deadly: str, number: signal.Signals):
    with Replayer(None, deadly) as replayer:
        replayer.run(b"fine")
        assert replayer._child is not None
        os.kill(replayer._child.pid, number)
        assert replayer.run(b"count").error == "2"


def test_a_parser_that_does_not_load_is_no_finding(sancov_parser: Parser, project: Path):
    link = project / "build" / "parsers" / sancov_parser.name
    link.unlink()
    with (
        pytest.raises(EngineError, match="did not start") as caught,
        Replayer(sancov_parser, "deserialize") as replayer,
    ):
        replayer.run(FILE)
    assert "harness doctor" in caught.value.hint


def test_what_a_killed_supervisor_left_in_memory_goes_with_the_next_one() -> None:
    code = (
        "import time\nfrom harness.replay.replay import Replayer\n"
        "one = Replayer(None, 'model')\none.run(b'')\nprint(one._scratch, flush=True)\ntime.sleep(3600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        left = Path(killed.stdout.readline().strip())
        try:
            with Replayer(None, "model") as living:
                living.run(b"")
                assert left.is_dir()
        finally:
            killed.kill()
    with Replayer(None, "model") as other:
        other.run(b"")
        assert other._scratch is not None
        assert not left.exists()
        with Replayer(None, "model") as third:
            third.run(b"")
            assert Path(other._scratch).is_dir()


@pytest.mark.parametrize(
    ("word", "outcome"), [(b"segv", "crash"), (b"exit", "crash"), (b"abort", "memory"), (b"allocate", "memory")]
)
def test_with_forks_a_death_has_the_same_name_and_the_child_lives_on(deadly: str, word: bytes, outcome: str) -> None:
    with Replayer(None, deadly) as plain, Replayer(None, deadly, forks=True) as forked:
        assert forked.run(b"count").error == "1"
        child = forked._child
        assert forked.run(word).signatures == plain.run(word).signatures
        assert forked.run(word).outcome == outcome
        assert forked._child is child
        # Each run is the first of its process.
        assert forked.run(b"count").error == "1"


def test_with_forks_a_hang_ends_too(deadly: str) -> None:
    with Replayer(None, deadly, forks=True) as forked:
        assert forked.run(b"hang", 0.5).outcome == "hang"
        assert forked.run(b"count").outcome == "accept"
