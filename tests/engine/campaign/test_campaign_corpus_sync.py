"""Members of one worker's corpus in another one, while both run, and what becomes of the files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from harness import corpus_store, paths
from harness.engine.campaign.campaign_corpus import CampaignCorpus, CorpusSync
from harness.engine.campaign.process import WorkerProcess
from harness.engine.campaign.units import Unit
from harness.engine.worker import memory
from harness.parsers.registry import Parser
from tests.waiting import wait_until


def mirrored(tmp_path: Path) -> CorpusSync:
    (tmp_path / "memory" / "corpus").mkdir(parents=True)
    return CorpusSync(tmp_path / "memory", CampaignCorpus(tmp_path / "corpus"), tmp_path / "replaced.txt")


def kept(tmp_path: Path) -> set[bytes]:
    return {path.read_bytes() for path in (tmp_path / "corpus").iterdir()}


def test_what_was_replaced_leaves_once_it_has_been_missing_twice(tmp_path: Path) -> None:
    sync = mirrored(tmp_path)
    large = corpus_store.add(tmp_path / "memory" / "corpus", b"large one")
    assert list(sync.sync().values()) == [b"large one"]
    large.unlink()
    # Killed now, libFuzzer would not have written the smaller one yet.
    sync.sync()
    assert kept(tmp_path) == {b"large one"}
    corpus_store.add(tmp_path / "memory" / "corpus", b"small")
    sync.sync()
    assert kept(tmp_path) == {b"small"}
    assert (tmp_path / "replaced.txt").read_text() == f"corpus/{large.name}\n"
    assert sync.brought == {corpus_store.sha1(b"small")}


def test_a_worker_deletes_nothing_that_it_did_not_bring(tmp_path: Path) -> None:
    corpus_store.add(tmp_path / "corpus", b"there before")
    sync = mirrored(tmp_path)
    again = corpus_store.add(tmp_path / "memory" / "corpus", b"there before")
    sync.give(corpus_store.sha1(b"given"), b"given")
    assert sync.sync() == {}
    again.unlink()
    (tmp_path / "memory" / "corpus" / corpus_store.sha1(b"given")).unlink()
    corpus_store.add(tmp_path / "corpus", b"given")
    for _ in range(3):
        sync.sync()
    assert kept(tmp_path) == {b"there before", b"given"}
    assert not sync.brought


def test_a_file_that_was_half_written_at_one_look_is_there_at_the_next(tmp_path: Path) -> None:
    sync = mirrored(tmp_path)
    path = tmp_path / "memory" / "corpus" / corpus_store.sha1(b"the whole")
    path.write_bytes(b"the")
    past = time.time() - 60
    os.utime(path.parent, (past, past))
    assert sync.sync() == {}
    # That changes the file and not its folder.
    path.write_bytes(b"the whole")
    assert sync.sync() == {path.name: b"the whole"}
    assert kept(tmp_path) == {b"the whole"}


def test_what_comes_in_the_same_tick_as_a_look_is_not_passed_over(tmp_path: Path) -> None:
    sync = mirrored(tmp_path)
    corpus = tmp_path / "memory" / "corpus"
    for number in range(200):
        corpus_store.add(corpus, b"%d" % number)
        assert list(sync.sync().values()) == [b"%d" % number]
    assert len(kept(tmp_path)) == 200


def test_what_a_power_cut_spoilt_is_written_again_by_who_has_it(tmp_path: Path) -> None:
    name = corpus_store.sha1(b"spoilt")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / name).touch()
    sync = mirrored(tmp_path)
    corpus_store.add(tmp_path / "memory" / "corpus", b"spoilt")
    assert sync.sync() == {name: b"spoilt"}
    assert kept(tmp_path) == {b"spoilt"}


def assert_that(worker: WorkerProcess, condition: Callable[[], bool], what: str) -> None:
    """In time, of a worker that runs."""

    def holds() -> bool:
        assert worker.poll() is None, worker.log_tail()
        return condition()

    wait_until(holds, what=what)


def test_a_running_worker_takes_up_what_another_one_kept(tmp_path: Path, sancov_parser: Parser) -> None:
    unit = Unit("deserialize", sancov_parser.name, 1, (), seconds=1800.0, shared=True)
    seeds = corpus_store.list_seeds(paths.corpus_dir() / "deserialize").seeds
    worker = WorkerProcess(unit.settings(tmp_path))
    try:
        assert_that(worker, lambda: bool(worker.seeded), "the seeds have run")
        for name, data in seeds:
            worker.corpus_sync.give(name, data)
        assert_that(worker, lambda: b"RELOAD" in worker.settings.log.read_bytes(), "libFuzzer reads what it was given")
        # It runs what it was given, and what that shows counts as its own.
        executions = worker.status.executions
        assert_that(
            worker,
            lambda: worker.status.executions > executions and worker.engine.corpus >= 20,
            "what was given has run",
        )
        worker.ask_to_stop()
        wait_until(lambda: worker.poll() is not None, what="the worker ends")
        assert worker.poll() == 0, worker.log_tail()
        worker.sync(ended=True)
        # What it was given is not handed back, and its mutations of that are.
        assert not worker.corpus_sync.brought & {name for name, _ in seeds}
        assert worker.corpus_sync.brought
        assert worker.status.defects == 0
    finally:
        worker.kill()
        memory.remove(worker.settings.memory)
