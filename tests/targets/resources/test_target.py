"""Counting what calls cost: the real library, and the real one behind wrappers that waste on purpose."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from harness.errors import EngineError, HarnessError
from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.findings.finding import Finding
from harness.mutate.growth import FAMILIES
from harness.parsers.registry import Parser
from harness.targets.registry import get_target
from harness.targets.resources import meter as metering
from harness.targets.resources import meter_child
from harness.targets.resources import target as resources
from harness.targets.resources.calls import CALLS
from harness.targets.resources.meter import Measurement, measure
from harness.targets.resources.oracle import BYTES, INSTRUCTIONS, exponent, judge
from harness.triage import filing, reproducer

needs_valgrind = pytest.mark.skipif(shutil.which("valgrind") is None, reason="apt-get install valgrind")

LIAR = """
__path__ = [{real!r}]
exec(open({real!r} + "/__init__.py").read())
honest = deserialize, safe_open


def deserialize(data):
    found = honest[0](data)
    if {lie!r} == "quadratic":
        [hash((1, other[0])) for one in found for other in found]
    if {lie!r} == "large":
        bytearray(1 << 26)
    if {lie!r} == "deadly" and len(found) == 64:
        import os
        os.abort()
    return found


class safe_open:
    def __init__(self, *names, **more):
        self.file = honest[1](*names, **more)

    def get_tensor(self, name):
        if {lie!r} == "others":
            [bytearray(64) for other in self.file.keys()]
        return self.file.get_tensor(name)
"""


@pytest.fixture
def liar(wheel_parser: Parser, tmp_path: Path):
    def make(lie: str) -> Path:
        package = tmp_path / lie / "safetensors"
        package.mkdir(parents=True)
        package.joinpath("__init__.py").write_text(LIAR.format(real=str(wheel_parser.site / "safetensors"), lie=lie))
        return package.parent

    return make


def found(measured: Measurement) -> list[Finding]:
    return judge(measured.call, measured.family, FAMILIES[measured.family].words, measured.cost, measured.points)


def aspects(measured: Measurement) -> list[str]:
    return [finding.aspect for finding in found(measured)]


@pytest.mark.parametrize("name", CALLS)
def test_every_call_works_on_a_plain_file(safetensors: ModuleType, name: str, tmp_path: Path):
    grown = FAMILIES["rows"].make(4)
    path = tmp_path / "file.safetensors"
    path.write_bytes(grown.data)
    job = {"setup": CALLS[name].setup, "code": CALLS[name].code, "path": str(path), "name": grown.name}
    end, result = meter_child.make(meter_child.prepare(job))
    assert end == "ok"
    assert bool(result) == ("result" in CALLS[name].data)
    parts = {"header", "names", "metadata", "entry", "tensor", "buffer", "result"}
    assert {*CALLS[name].text, *CALLS[name].data} <= parts


def test_bytes_are_the_same_in_every_run(wheel_parser: Parser):
    pairs = [("deserialize", "tensors"), ("get_tensor", "other-data"), ("safe_open", "depth"), ("keys", "depth")]
    first, second = (measure(wheel_parser.site, BYTES, pairs) for _ in range(2))
    assert first == second
    tensors, other, refused, unopened = first
    assert exponent(tensors.points) == pytest.approx(1, abs=0.1)
    assert len({point.cost for point in other.points}) == 1
    assert set(refused.ends) == {"SafetensorError"}
    assert set(unopened.ends) == {"setup: SafetensorError"}
    assert [aspects(one) for one in first] == [[], [], [], []]
    assert unopened.points == ()


@pytest.mark.long
@needs_valgrind
def test_instructions_repeat_within_a_few_per_cent_and_grow_as_they_should(wheel_parser: Parser):
    pairs = [("deserialize", "empties"), ("get_tensor", "tensors")]
    runs = [measure(wheel_parser.site, INSTRUCTIONS, pairs) for _ in range(2)]
    for one, other in zip(*runs, strict=True):
        assert aspects(one) == []
        for a, b in zip(one.points, other.points, strict=True):
            assert a.cost == pytest.approx(b.cost, rel=0.15)
    assert exponent(runs[0][0].points) == pytest.approx(1, abs=0.15)
    assert exponent(runs[0][1].points) == pytest.approx(0, abs=0.3)


def test_a_call_that_looks_at_the_others_is_found(liar):
    site = liar("others")
    one, same = measure(site, BYTES, [("get_tensor", "tensors"), ("get_tensor", "value")])
    assert aspects(one) == ["tensors/unrelated"]
    assert aspects(same) == []
    assert found(one)[0].kind == "memory"


@needs_valgrind
def test_a_quadratic_call_is_found(liar):
    tensors, name = measure(liar("quadratic"), INSTRUCTIONS, [("deserialize", "tensors"), ("deserialize", "name")])
    assert aspects(tensors) == ["tensors/superlinear"]
    assert found(tensors)[0].kind == "time"
    assert aspects(name) == []


def test_a_small_file_that_takes_megabytes_is_found(liar):
    (measured,) = measure(liar("large"), BYTES, [("deserialize", "empties")])
    assert aspects(measured) == ["empties/multiple"]


def test_a_call_that_kills_its_process_ends_nothing_else(liar):
    tensors, name = measure(liar("deadly"), BYTES, [("deserialize", "tensors"), ("deserialize", "name")])
    assert tensors.ends == ("ok", "died", "ok", "ok", "ok")
    assert [point.n for point in tensors.points] == [32, 128, 256, 512]
    assert name.ends == ("ok",) * 5


def test_a_library_that_does_not_import_is_no_finding(tmp_path: Path):
    (tmp_path / "safetensors").mkdir()
    (tmp_path / "safetensors/__init__.py").write_text("raise ImportError('no such library')\n")
    with pytest.raises(EngineError, match="no such library"):
        measure(tmp_path, BYTES, [("keys", "tensors")])


def test_without_valgrind_instructions_are_refused(
    wheel_parser: Parser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match="valgrind") as caught:
        metering.valgrind()
    assert "apt-get" in caught.value.hint


def test_the_target_is_listed_and_files_on_wheels(safetensors: ModuleType):
    target = get_target(resources.TARGET)
    run = target.open(safetensors)
    outcome, _, value = run(b"bytes get_tensor other-data")
    assert (outcome, value.call) == ("accept", "get_tensor")
    assert run(b"bytes get_tensor nothing")[0] == "reject"
    assert run(b"bytes get_tensor")[0] == "reject"
    assert target.reading(value).tensors == []
    assert {parser.flavour for parser in filing.builds(resources.TARGET) if parser} == {"wheel"}
    assert "get_tensor(name), over files with" in resources.describe(b"bytes get_tensor other-data")
    with pytest.raises(HarnessError, match="no program"):
        resources.describe(b"bytes get_tensor")


def crash_of(sig: str) -> Crash:
    finding = Finding.of_signature(sig, "resources", "a 'summary'")
    return Crash(finding, status=crashes.OPEN, why="why", releases=("0.8.0",), builds=("wheel",))


@pytest.mark.parametrize(
    ("program", "how", "lie", "expected"),
    [
        ("bytes get_tensor tensors", "unrelated", "", 0),
        ("bytes get_tensor tensors", "unrelated", "others", 1),
        ("bytes deserialize tensors", "superlinear", "", 0),
        ("bytes deserialize empties", "multiple", "", 0),
        ("bytes deserialize empties", "multiple", "large", 1),
        ("bytes slice-column rows", "multiple", "", 1),
        pytest.param("instructions get_tensor tensors", "unrelated", "others", 1, marks=needs_valgrind),
        ("bytes keys name", "superlinear", "", 0),
    ],
)
def test_reproducers_tell_both_ways(
    wheel_parser: Parser, liar, tmp_path: Path, program: str, how: str, lie: str, expected: int
):
    cost, call, family = program.split()
    kind = "memory" if cost == BYTES else "time"
    crash = crash_of(f"{resources.TARGET}|{kind}|resources.{call}|{family}/{how}")
    folder = crashes.file(crash, program.encode(), reproducer.write(crash, program.encode()), root=tmp_path / "crashes")
    site = liar(lie) if lie else wheel_parser.site
    done = subprocess.run(
        [sys.executable, str(folder / crashes.REPRODUCER)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site)}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == expected, done.stdout + done.stderr
    assert done.stdout.count(" for a file of ") == (3 if how == "superlinear" else 2)
