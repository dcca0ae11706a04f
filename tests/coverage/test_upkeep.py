"""Keeping a corpus: nothing is lost to a kill, to another process or to a cap, unless it is said."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from harness import corpus_store
from harness.corpus_store import Provenance
from harness.coverage import regions, upkeep
from harness.coverage.choose import Terms
from harness.coverage.cover import Cap
from harness.coverage.features import features_of
from harness.coverage.intake import generated
from harness.coverage.reached import CODE, Reached, Writer
from harness.errors import HarnessError
from tests.framing import framed

JUNK = b"junk"
ONE = framed('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"1234")
SEEDS = [b"seed %d" % number for number in range(6)]
ORIGIN = Provenance("import", "before")


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Run ``work`` in a process that is killed (SIGKILL) before its file operation ``step``; False where it had fewer."""
    child = os.fork()
    if not child:
        steps = itertools.count()

        def hook(event: str, _: object) -> None:
            if event in ("open", "os.rename", "os.remove", "os.chmod") and next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_kill_at_any_moment_leaves_whole_seeds_with_their_origin(tmp_path):
    added = {corpus_store.sha1(data): (data, Provenance("campaign", "night", 7)) for data in SEEDS[4:]}
    gone = [corpus_store.sha1(data) for data in SEEDS[:2]]
    stay = {corpus_store.sha1(data) for data in SEEDS[2:4]}
    kills = 0
    for step in itertools.count():
        folder = tmp_path / str(step)
        for data in SEEDS[:4]:
            corpus_store.add(folder, data)
        corpus_store.write_provenance(folder, dict.fromkeys((*gone, *stay), ORIGIN))
        died = killed_at(step, partial(corpus_store.change, folder, added, gone))
        seeds = {name for name, _ in corpus_store.list_seeds(folder).seeds}
        assert corpus_store.list_seeds(folder).skipped == []
        assert stay <= seeds <= stay | set(gone) | added.keys()
        # What goes goes only after all that comes is there.
        assert added.keys() <= seeds or set(gone) <= seeds
        origins = corpus_store.read_provenance(folder)
        assert seeds <= origins.keys()
        assert all(origins[name] == (added[name][1] if name in added else ORIGIN) for name in seeds)
        # The same again ends what was begun.
        corpus_store.change(folder, added, gone)
        assert {name for name, _ in corpus_store.list_seeds(folder).seeds} == stay | added.keys()
        assert corpus_store.read_provenance(folder).keys() == stay | added.keys()
        if not died:
            break
        kills += 1
    assert kills > 10


def test_half_files_of_killed_processes_are_removed_when_they_are_old(tmp_path):
    old, young = tmp_path / ".tmp-old", tmp_path / ".tmp-young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    corpus_store.change(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == [young.name]


def test_one_process_at_a_time_changes_the_seeds_of_a_target(tmp_path):
    corpus_store.add(tmp_path / "model", ONE)
    with corpus_store.locked(tmp_path / "model"):
        with pytest.raises(HarnessError, match="another process is changing the seeds in"):
            upkeep.minimize(tmp_path, "model", None)
        with pytest.raises(HarnessError, match="another process"):
            upkeep.merge(tmp_path, "model", {}, None)
    assert upkeep.minimize(tmp_path, "model", None).after == 1


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for data, _ in generated("model", 40, 1).values():
        corpus_store.add(tmp_path / "model", data)
    corpus_store.add(tmp_path / "model", JUNK)
    return tmp_path


def features(folder: Path, *prefixes: str) -> set[str]:
    inputs = [data for _, data in corpus_store.list_seeds(folder).seeds]
    found, _ = features_of(None, "model", inputs)
    return {f for i in range(len(inputs)) for f in found.features(i) or () if f.startswith(prefixes)}


def test_by_code_every_line_and_answer_stays_and_less_is_kept(corpus, tmp_path_factory):
    before = features(corpus / "model", *CODE)
    change = upkeep.minimize(corpus, "model", None, Terms(by="code"))
    assert features(corpus / "model", *CODE) == before
    assert change.lost == 0
    assert change.unmeasured == "the target runs no parser"
    other = tmp_path_factory.mktemp("all")
    for data, _ in generated("model", 40, 1).values():
        corpus_store.add(other / "model", data)
    assert change.after < upkeep.minimize(other, "model", None).after


def test_a_cap_is_kept_costs_meaning_before_code_and_is_owned_up_to(corpus):
    code, everything = features(corpus / "model", *CODE), features(corpus / "model", "")
    need = upkeep.minimize(corpus, "model", None).bytes_after
    change = upkeep.minimize(corpus, "model", None, Terms(cap=Cap(size=need * 3 // 4)))
    assert change.bytes_after <= need * 3 // 4
    left = features(corpus / "model", "")
    assert change.lost == len(everything - left) > 0
    assert change.lost_code == len(code - left) == 0
    change = upkeep.minimize(corpus, "model", None, Terms(cap=Cap(files=1)))
    assert change.after == 1
    assert change.lost_code > 0


def test_merging_into_a_full_corpus_drops_what_is_worth_least(tmp_path):
    corpus_store.add(tmp_path / "model", JUNK)
    corpus_store.write_provenance(tmp_path / "model", {corpus_store.sha1(JUNK): ORIGIN})
    sources = {corpus_store.sha1(ONE): (ONE, Provenance("campaign", "night", 3))}
    change = upkeep.merge(tmp_path, "model", sources, None, Terms(cap=Cap(files=1)))
    assert (change.before, change.after) == (1, 1)
    assert change.lost_code > 0
    # A file that is read to its end reaches more of the judge than one that ends at once.
    assert [data for _, data in corpus_store.list_seeds(tmp_path / "model").seeds] == [ONE]
    assert corpus_store.read_provenance(tmp_path / "model") == {
        corpus_store.sha1(ONE): sources[corpus_store.sha1(ONE)][1]
    }


def test_inputs_that_reach_lost_regions_are_found(coverage_parser):
    wanted = regions.regions_of(coverage_parser, "deserialize", [ONE]) - regions.regions_of(
        coverage_parser, "deserialize", [JUNK]
    )
    assert wanted
    assert regions.those_that_reach(coverage_parser, "deserialize", [JUNK, ONE], wanted) == [1]


def test_without_a_coverage_build_it_is_said_why_regions_are_not_measured(project, sancov_parser):
    build, why = regions.measuring_build(sancov_parser)
    assert build is None
    assert "harness build --coverage" in why


def test_what_a_child_wrote_is_read_up_to_where_it_was_killed(tmp_path):
    path = tmp_path / "0.jsonl"
    writer = Writer(path, 9, "edge")
    writer.put(0, b"\x01\x01", ["answer accept"])
    writer.put(2, b"\x00\x01", ["answer reject", "answer accept"])
    writer.put(1, b"\x00\x01", ["line x.py:1"])
    writer.close()
    path.write_bytes(path.read_bytes()[:-3])
    other = Writer(tmp_path / "1.jsonl", 9, "edge")
    other.put(3, b"\x02\x00", ["answer reject"])
    other.close()
    found = Reached.read([path, tmp_path / "1.jsonl"], 4)
    assert [found.features(i) for i in range(4)] == [
        {"edge 0", "edge 8", "answer accept"},
        None,
        {"edge 8", "answer reject", "answer accept"},
        {"edge 1", "answer reject"},
    ]
    assert found.count() == 5
