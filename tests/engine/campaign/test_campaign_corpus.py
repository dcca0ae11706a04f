"""A campaign's own corpus: nobody else changes it while it runs, and it does not grow for ever."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness import corpus_store
from harness.cli.main import group
from harness.engine.campaign.campaign_corpus import CampaignCorpus, CorpusSync, Quota
from harness.errors import HarnessError
from tests.engine.conftest import Fuzz
from tests.waiting import LONG, wait_until


def full(tmp_path: Path) -> CorpusSync:
    """Of a worker whose target has two inputs in the campaign's folder already, and room for no more."""
    for data in (b"one", b"two"):
        corpus_store.add(tmp_path / "corpus", data)
    (tmp_path / "memory" / "corpus").mkdir(parents=True)
    return CorpusSync(tmp_path / "memory", CampaignCorpus(tmp_path / "corpus", Quota(files=2)))


def kept(tmp_path: Path) -> set[bytes]:
    return {path.read_bytes() for path in (tmp_path / "corpus").iterdir()}


def ago(seconds: float) -> int:
    """A time of a worker's status, in nanoseconds."""
    return time.time_ns() - int(1e9 * seconds)


def test_what_comes_with_no_new_edge_finds_no_room(tmp_path: Path) -> None:
    sync = full(tmp_path)
    sync.start_with(7)
    corpus_store.add(tmp_path / "memory" / "corpus", b"three")
    assert sync.sync(7, ago(0)) == {}
    assert sync.sync(7, ago(-1)) == {}
    assert sync.sync(7, ago(-2)) == {}
    # Twice is enough.
    assert sync.sync(8, ago(-3)) == {}
    assert kept(tmp_path) == {b"one", b"two"}


def test_one_word_of_a_worker_in_the_middle_of_an_input_passes_over_nothing(tmp_path: Path) -> None:
    sync = full(tmp_path)
    sync.start_with(7)
    corpus_store.add(tmp_path / "memory" / "corpus", b"three")
    early = ago(-1)
    assert sync.sync(6, early) == {}
    assert sync.sync(6, early) == {}  # the same word again
    assert list(sync.sync(8, ago(-2)).values()) == [b"three"]


def test_an_input_whose_smaller_double_finds_no_room_stays(tmp_path: Path) -> None:
    worker = tmp_path / "memory" / "corpus"
    worker.mkdir(parents=True)
    store = CampaignCorpus(tmp_path / "corpus", Quota(files=1))
    sync = CorpusSync(tmp_path / "memory", store)
    sync.start_with(7)
    larger = corpus_store.add(worker, b"larger")
    sync.sync(8, ago(0))
    # As libFuzzer does it: the old one goes first.
    larger.unlink()
    corpus_store.add(worker, b"less")
    for second in range(1, 5):
        sync.sync(8, ago(-second))
        assert kept(tmp_path) == {b"larger"}
    assert store.passed_over == 1


@pytest.mark.parametrize("then", [7, 8])
def test_what_comes_with_new_edges_is_stored_once_they_are_known(tmp_path: Path, then: int) -> None:
    sync = full(tmp_path)
    sync.start_with(7)
    corpus_store.add(tmp_path / "memory" / "corpus", b"three")
    # The status is older than the input, or may be.
    assert sync.sync(then, ago(1)) == {}
    assert sync.sync(then, ago(1)) == {}
    assert list(sync.sync(8, ago(-1)).values()) == [b"three"]
    assert kept(tmp_path) == {b"one", b"two", b"three"}


@pytest.mark.parametrize(("edges", "at", "stored"), [(3, -1, set()), (4, -1, {b"three"}), (3, 1, {b"three"})])
def test_the_last_inputs_of_a_worker_do_not_wait(tmp_path: Path, edges: int, at: int, stored: set[bytes]) -> None:
    sync = full(tmp_path)
    sync.start_with(3)
    corpus_store.add(tmp_path / "memory" / "corpus", b"three")
    assert set(sync.sync(edges, ago(at), last=True).values()) == stored
    assert kept(tmp_path) == {b"one", b"two"} | stored


def test_an_input_that_was_replaced_leaves_while_there_is_room(tmp_path: Path) -> None:
    worker = tmp_path / "memory" / "corpus"
    worker.mkdir(parents=True)
    sync = CorpusSync(tmp_path / "memory", CampaignCorpus(tmp_path / "corpus", Quota(size=16, files=9)))
    larger = corpus_store.add(worker, b"larger")
    sync.sync()
    larger.unlink()
    corpus_store.add(worker, b"less")
    sync.sync()
    sync.sync()
    assert kept(tmp_path) == {b"less"}


def test_a_campaign_says_that_it_is_full_and_lets_nobody_change_its_corpus(fuzz: Fuzz) -> None:
    command = fuzz.command("--target", "parallel", "--time", "10m", "--workers", "1", "--max-files", "1")
    process = subprocess.Popen(
        command, env=fuzz.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    minimize = ["corpus", "minimize", "--target", "parallel", "--corpus", str(fuzz.campaign / "corpus")]

    def full() -> bool:
        assert process.poll() is None
        return (fuzz.campaign / "campaign.json").exists() and bool(fuzz.session()["passed_over"])

    try:
        wait_until(full, what="an input without a new edge is passed over")
        with pytest.raises(HarnessError, match="another process is changing the seeds"):
            group.main(minimize, standalone_mode=False)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LONG)
    finally:
        process.kill()
    passed_over = fuzz.session()["passed_over"]["parallel"]
    assert f"the corpus of parallel is full: {passed_over} inputs without a new edge were not saved" in errors
    assert f"{' '.join(minimize)}\n" in errors
    # What came with new edges is there.
    assert len(list((fuzz.campaign / "corpus" / "parallel").iterdir())) > 1


@pytest.mark.parametrize("how", [(), ("--fresh",)])
def test_a_campaign_takes_nothing_over_and_sets_nothing_aside_while_another_changes_its_corpus(
    fuzz: Fuzz, how: tuple[str, ...]
) -> None:
    seed = corpus_store.add(fuzz.campaign / "corpus" / "model", b"seed")
    with corpus_store.locked(seed.parent):
        done = subprocess.run(
            fuzz.command("--target", "model", "--time", "1s", *how),
            env=fuzz.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "another process is changing the seeds in" in done.stderr
    assert seed.is_file()


def test_a_campaign_and_who_changes_a_target_of_its_corpus_keep_each_other_out(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    with (
        corpus_store.locked_whole(corpus),
        pytest.raises(HarnessError, match="another process is changing the seeds in .*/corpus$"),
        corpus_store.locked(corpus / "model"),
    ):
        pass
    # Two targets may be changed at a time.
    with (
        corpus_store.locked(corpus / "model"),
        corpus_store.locked(corpus / "huge"),
        pytest.raises(HarnessError, match="another process is changing the seeds in .*/corpus$"),
        corpus_store.locked_whole(corpus),
    ):
        pass
