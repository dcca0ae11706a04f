"""Copies, memory and standstills: the real library keeps its limits, and libraries that waste are found."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from harness.errors import EngineError
from harness.parsers.registry import Parser
from harness.targets.registry import get_target
from harness.targets.resources import kernel, target
from harness.targets.resources.kernel import COPIES, DATA, SPACE, STANDSTILL, Comparison, Taken

#: Each lie wastes in ``deserialize``, and holds the lock in ``serialize_file``.
LIAR = """
__path__ = [{real!r}]
exec(open({real!r} + "/__init__.py").read())
honest = deserialize
kept = []


def deserialize(data):
    found = honest(data)
    lie = {lie!r}
    if lie == "copy":
        again = honest(data)
    if lie == "mapped":
        import mmap
        kept.append(mmap.mmap(-1, 1 << 26, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    if lie == "touched":
        spare = b"1" * (1 << 23)
    if lie == "header":
        spare = [b"1" * (100 * len(data)) for _ in range(1)]
    if lie == "deadly":
        import os
        os.abort()
    return found


def serialize_file(specs, path, metadata=None):
    # One operation of the interpreter: no other thread runs meanwhile.
    sum(range(1 << 21))
"""


def liar(parser: Parser, folder: Path, lie: str) -> Path:
    package = folder / "safetensors"
    package.mkdir()
    package.joinpath("__init__.py").write_text(LIAR.format(real=str(parser.site / "safetensors"), lie=lie))
    return folder


def found(site: Path, cost: str, call: str) -> list[str]:
    compared = kernel.compare(site, None, cost, [call])
    return [f"{finding.kind}|{finding.aspect}" for one in compared for finding in kernel.judge(one)]


@pytest.mark.parametrize(
    ("lie", "cost", "call", "expected"),
    [
        ("copy", COPIES, "deserialize", ["memory|data/copies"]),
        ("mapped", SPACE, "deserialize", ["memory|small/mapped"]),
        ("touched", SPACE, "deserialize", ["memory|small/touched"]),
        ("header", SPACE, "deserialize", ["memory|header/touched", "memory|header/mapped"]),
        ("", STANDSTILL, "serialize_file", ["time|data/standstill"]),
        ("deadly", SPACE, "deserialize", []),
    ],
)
def test_a_library_that_wastes_is_found(
    wheel_parser: Parser, tmp_path: Path, lie: str, cost: str, call: str, expected: list[str]
) -> None:
    assert found(liar(wheel_parser, tmp_path, lie), cost, call) == expected


def test_the_library_keeps_its_limits(wheel_parser: Parser) -> None:
    assert found(wheel_parser.site, SPACE, "safe_open") == []
    (saved,) = kernel.compare(wheel_parser.site, None, COPIES, ["numpy.save_file"])
    (loaded,) = kernel.compare(wheel_parser.site, None, COPIES, ["deserialize"])
    assert [kernel.copies(one.taken[0]) for one in (saved, loaded)] == [0, 1]
    assert kernel.judge(saved) == kernel.judge(loaded) == []


def test_an_instrumented_build_is_measured_too(sancov_parser: Parser) -> None:
    small, header = kernel.compare(sancov_parser.site, sancov_parser, SPACE, ["safe_open"])
    assert [one.end for one in (*small.taken, *header.taken)] == ["ok"] * 3
    assert kernel.judge(small) == kernel.judge(header) == []


def test_a_library_that_does_not_import_is_no_finding(tmp_path: Path) -> None:
    (tmp_path / "safetensors").mkdir()
    (tmp_path / "safetensors/__init__.py").write_text("raise ImportError('no such library')\n")
    with pytest.raises(EngineError, match="no such library"):
        kernel.compare(tmp_path, None, SPACE, ["safe_open"])


def compared(call: str, cost: str, taken: Taken, by_peer: Taken) -> list[str]:
    one = Comparison(call, cost, "data", (taken,), "0.7.0-wheel", (by_peer,))
    return [finding.aspect for finding in kernel.judge(one)]


def test_a_call_is_held_against_the_peer() -> None:
    two, three = Taken("ok", touched=2 * DATA + 999), Taken("ok", touched=3 * DATA)
    assert compared("numpy.save", COPIES, three, two) == ["data/copies"]
    assert compared("numpy.save", COPIES, two, three) == []
    assert compared("numpy.save", COPIES, three, Taken("TypeError")) == []
    still, free = Taken("ok", shares=(0.99, 0.9)), Taken("ok", shares=(0.95, 0.5))
    assert compared("get_tensor", STANDSTILL, still, free) == ["data/standstill"]
    assert compared("get_tensor", STANDSTILL, still, still) == []
    assert compared("get_tensor", STANDSTILL, free, free) == []
    assert compared("get_tensor", STANDSTILL, Taken("ok"), free) == []


def test_a_release_has_older_peers_and_a_change_has_its_release(wheel_parser: Parser, sancov_parser: Parser) -> None:
    for parser in (wheel_parser, sancov_parser):
        peer = kernel.peer_of(parser)
        assert peer is None or peer.version != parser.version
    change = Parser("change", sancov_parser.root, "sancov", "0.8.0", {**sancov_parser.manifest, "source_hash": "abc"})
    assert kernel.peer_of(change) == wheel_parser
    assert kernel.peer_of(None) is None


def test_mutated_programs_are_programs_and_repeat() -> None:
    data = b"any text"
    for seed in range(300):
        data, same = target.mutate(data, 64, seed), target.mutate(data, 64, seed)
        assert data == same
        assert target.words(data) is not None
        assert target.describe(data).startswith("the ")


def test_the_target_measures_once_and_tells_its_features(safetensors: ModuleType) -> None:
    driven = get_target("resources")
    run = driven.open(safetensors)
    outcome, _, value = run(b"space safe_open small")
    assert outcome == "accept"
    assert run(b"space safe_open small")[2] is value
    assert list(driven.features((outcome, "", value))) == [("space", "safe_open", "small", "ok")]
    assert run(b"copies slice-step data")[0] == "reject"
    assert all(target.words(seed) for seed in driven.seeds().values())
