from __future__ import annotations

import importlib
import os
import resource
import signal
import tomllib
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings

from harness.observation import ACCEPT, RAISE, REJECT, Observation, Run, Trace
from harness.programs import strategies
from harness.programs.arrays import NUMPY_NAMES
from harness.programs.saving import METADATA, NAMES
from harness.replay.judge import judge_observation
from harness.targets.registry import get_target
from harness.targets.writers import array_values, specs
from harness.targets.writers import target as writers
from harness.targets.writers.array_layouts import LAYOUTS
from harness.targets.writers.output_files import Files
from harness.targets.writers.program import PATHS, VOCABULARY, Died, decode

S = VOCABULARY.step
CHANGES = Path(__file__).parents[2] / "triage" / "changes"


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Run:
    return get_target("writers").open(safetensors)


def trace(observation: Observation) -> Trace:
    assert isinstance(observation[2], Trace)
    return observation[2]


def signatures(run: Run, *steps) -> list[str]:
    program = VOCABULARY.encode(steps)
    target = get_target("writers")
    return [one.signature for one in judge_observation(target, run, program, run(program))]


def test_every_seed_is_valid_to_the_last_call(run: Run):
    assert {run(program)[0] for program in get_target("writers").seeds().values()} == {ACCEPT}


def test_a_program_runs_all_its_calls_whatever_happens_to_one(run: Run):
    steps = [S("spec", 0, 3, list(specs.FAULTS).index("short")), S("save"), S("serialize"), S("save"), S("load")]
    observation = run(VOCABULARY.encode(steps))
    assert observation[0] == REJECT
    assert [(event.call, event.outcome) for event in trace(observation).events] == [
        ("save", ACCEPT), ("serialize", REJECT), ("save", ACCEPT), ("load", ACCEPT),
    ]  # fmt: skip


def test_what_reads_is_left_out_where_nothing_was_written(run: Run):
    steps = [S("tensor", array_values.ODD_DTYPES), S("save"), S("load"), S("again")]
    assert [event.call for event in trace(run(VOCABULARY.encode(steps))).events] == ["save"]


def test_what_is_no_array_and_what_no_file_can_hold_may_fail_as_python_has_it(run: Run):
    for odd in (
        [S("type", 6)],
        [S("name", NAMES.index("1"))],
        [S("name", NAMES.index(r"'\ud800'"))],
        [S("metadata", 4)],
    ):
        assert run(VOCABULARY.encode([S("tensor"), *odd, S("save")]))[0] == REJECT
    for fault in ("negative", "past-usize", "float", "no-text", "surrogate"):
        steps = [S("spec", 0, 3, list(specs.FAULTS).index(fault)), S("serialize")]
        assert run(VOCABULARY.encode(steps))[0] == REJECT


def test_a_value_error_may_refuse_an_array_that_is_not_dense(safetensors: ModuleType, monkeypatch: pytest.MonkeyPatch):
    real = importlib.import_module(f"{safetensors.__name__}.numpy")
    (edit,) = tomllib.loads((CHANGES / "refuses.toml").read_text())["edits"]
    assert real.__file__
    source = Path(real.__file__).read_text()
    assert source.count(edit["anchor"]) == 1
    refusing = ModuleType(real.__name__)
    exec(source.replace(edit["anchor"], edit["replacement"]), refusing.__dict__)
    monkeypatch.setattr(safetensors, "numpy", refusing, raising=False)
    run, program = get_target("writers").open(safetensors), [S("tensor", 0, 3, LAYOUTS.index("fortran")), S("save")]
    assert run(VOCABULARY.encode(program))[0] == REJECT
    assert signatures(run, *program) == []


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_written_or_refused(run: Run, path: str):
    observation = run(VOCABULARY.encode([S("save_file", PATHS.index(path)), S("load_file")]))
    refused = PATHS.index(path) >= PATHS.index("missing-folder")
    assert observation[0] == (REJECT if refused else ACCEPT)


def test_a_reader_s_undocumented_error_is_told_by_call(run: Run):
    steps = [S("spec", specs.DTYPES.index("BF16")), S("serialize"), S("load")]
    assert run(VOCABULARY.encode(steps))[0] == RAISE
    assert signatures(run, *steps) == ["writers|contract|raise|load: KeyError: _"]


def test_equal_calls_are_repeated_where_chance_orders_metadata(run: Run):
    """Two entries keep their order half of the time; that they never change in many calls does not happen."""
    for _ in range(20):
        found = signatures(run, S("entry"), S("entry", 1), S("save"), S("again"))
        assert found == ["writers|roundtrip|roundtrip.unstable|metadata-order"]


def test_a_process_that_dies_of_a_call_is_seen_and_lives(run: Run, monkeypatch: pytest.MonkeyPatch):
    """As checked builds do of an empty tensor at address 0; the release does not look."""
    steps = [S("spec", 0, 5, list(specs.FAULTS).index("null")), S("serialize")]
    assert run(VOCABULARY.encode(steps))[0] == ACCEPT
    assert writers._in_a_child(os.abort) == Died("SIGABRT")
    assert writers._in_a_child(lambda: None) is None
    monkeypatch.setattr(run.__self__, "_null", Died("SIGABRT"))  # type: ignore[attr-defined]
    assert signatures(run, *steps) == ["writers|crash|crash|SIGABRT/null-pointer"]


def test_most_mutated_programs_are_valid_to_the_last_call(run: Run):
    target = get_target("writers")
    seeds = list(target.seeds().values())
    mutate = target.mutator()
    assert mutate is not None
    outcomes = Counter(run(mutate(seeds[seed % len(seeds)], target.max_len, seed * 7919))[0] for seed in range(600))
    assert outcomes[ACCEPT] > 300
    assert outcomes[REJECT] > 0


def without_known_defects(data: bytes) -> bool:
    """Arrays in C order, names and metadata that a file can hold, dtypes that numpy has: nothing that is known to fail."""
    things = decode(data).things
    dense = all(content.sound for content in (things.array_content, things.spec_content))
    known = all(code in NUMPY_NAMES for code, *_ in things.spec_content.tensors.values())
    # Empty metadata without tensors are written as no JSON: filed. A call is about the arrays or about the specs.
    return dense and known and (bool(things.arrays and things.specs) or things.metadata.value != {})


@pytest.mark.parametrize(("given_too", "call"), [("tensor", "serialize"), ("spec", "save")])
def test_empty_metadata_without_what_the_call_is_about_are_a_filed_defect(run: Run, given_too: str, call: str):
    steps = [S("nothing"), S(given_too), S("metadata", METADATA.index("{}")), S(call)]
    assert [one for one in signatures(run, *steps) if "roundtrip.written" in one]
    assert not without_known_defects(VOCABULARY.encode(steps))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=strategies.programs(VOCABULARY).filter(without_known_defects))
def test_what_programs_without_known_defects_save_is_what_comes_back(run: Run, data: bytes):
    """But for what is filed of all files and all metadata: their permissions, and the order of its entries."""
    target = get_target("writers")
    observation = run(data)
    found = judge_observation(target, run, data, observation)
    assert [one for one in found if one.rule.name not in ("roundtrip.mode", "roundtrip.unstable")] == []
    refused = {event.about.call.path for event in trace(observation).events if event.outcome != ACCEPT}
    assert refused <= set(PATHS[PATHS.index("missing-folder") :])


def test_features_tell_programs_apart(run: Run):
    target = get_target("writers")
    seen = {name: frozenset(target.features(run(program))) for name, program in target.seeds().items()}
    assert len(set(seen.values())) == len(seen)


def test_a_program_is_explained_as_python():
    text = get_target("writers").explain(VOCABULARY.encode([S("tensor", 0, 3, 6), S("entry"), S("save"), S("load")]))
    assert text == (
        "tensors = {'a': fortran(numpy.arange(1, 7).astype('float32').reshape(2, 3))}\n"
        "metadata = {'format': 'pt'}\n"
        "file = save(tensors, metadata)\n"
        "load(file)\n"
    )


def test_nothing_is_left_behind(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    shared = Path(run.__self__._files._shared)  # type: ignore[attr-defined]
    # The memory files that are read are kept.
    run(VOCABULARY.encode([S("save"), S("load_file"), S("safe_open", 1)]))
    descriptors = len(os.listdir("/proc/self/fd"))
    for path in range(len(PATHS)):
        run(VOCABULARY.encode([S("save_file", path), S("load_file"), S("save"), S("safe_open", 1)]))
        assert list(shared.rglob("*")) == [shared / f"{os.getpid():07}"]
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_files_of_one_run_are_apart_and_gone_after_it():
    files = Files()
    first, second = files.memory(b"first"), files.memory(b"2nd")
    assert (Path(first).read_bytes(), Path(second).read_bytes()) == (b"first", b"2nd")
    new, old = files.path("str"), files.path("existing")
    Path(new.place).write_bytes(b"new")
    os.chmod(new.place, 0o600)
    assert new.read() == (b"new", (0o600, new.wanted))
    assert old.read() == (b"something else", (0o640, 0o640))
    assert files.path("missing-folder").read() == files.path("directory").read() == (None, None)
    Path(f"{new.place}.tmp").touch()
    assert files.clear() == 1
    assert files.clear() == 0
    assert files.memory(b"shorter") == first
    assert Path(first).read_bytes() == b"shorter"


def test_a_folder_that_a_writer_made_goes_with_what_it_holds():
    files = Files()
    for _ in range(2):
        array_values = files.path("missing-folder")
        assert not Path(array_values.place).parent.exists()
        Path(array_values.place).parent.mkdir()
        Path(array_values.place).write_bytes(b"new")
        assert array_values.read()[0] == b"new"
        assert files.clear() == 1


def in_a_fork(call: Callable[[], bool]) -> int:
    """How a fork ends that makes ``call``, as :mod:`subprocess` tells it: 0 where it gave True."""
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = call()
        finally:
            os._exit(0 if good else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("writer", ["save_file", "serialize_file"])
def test_what_a_fork_left_that_died_of_a_writer_is_seen_by_no_other(safetensors: ModuleType, writer: str):
    run = get_target("writers").open(safetensors)
    shared = Path(run.__self__._files._shared)  # type: ignore[attr-defined]
    content = S("tensor" if writer == "save_file" else "spec", 0, 3)

    def written(path: str) -> Observation:
        return run(VOCABULARY.encode([content, S(writer, PATHS.index(path))]))

    def dies(path: str) -> bool:
        # The kernel ends it where the file grows past what an existing one holds here.
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (32, 32))
        return written(path)[0] == ACCEPT

    def lives(path: str) -> bool:
        outcome, _, value = written(path)
        assert isinstance(value, Trace)
        return outcome == ACCEPT and [event.call for event in value.events] == [writer]

    for path in ("existing", "read-only", "symlink"):
        assert in_a_fork(partial(dies, path)) == -signal.SIGXFSZ
        (folder,) = shared.iterdir()
        assert any(folder.iterdir())
        assert in_a_fork(partial(lives, path)) == 0
        assert not folder.exists()
    assert written("existing")[0] == ACCEPT
    assert [one.name for one in shared.iterdir()] == [f"{os.getpid():07}"]
