from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from harness.engine.campaign import folder
from harness.engine.campaign.campaign_corpus import Kept, Mirror
from harness.engine.campaign.progress import Progress, TargetProgress
from harness.engine.worker import memory, recording
from harness.engine.worker.checks import check_log
from harness.engine.worker.native import NativeCounters
from harness.engine.worker.semantics import SIZE, SemanticCounters
from harness.engine.worker.settings import WorkerSettings
from harness.engine.worker.slot import Slot, read_slot
from harness.engine.worker.tally import ACCEPTED, deep, refusal_key, stage
from harness.errors import EngineError
from tests.waiting import wait_until

LOG = b"""\
INFO: found LLVMFuzzerCustomMutator (0x7f). Disabling -len_control by default.
INFO: Loaded 2 modules   (12375 inline 8-bit counters): 8279 [0x1, 0x2), 4096 [0x3, 0x4),\x20
#40\tINITED cov: 503 ft: 1197 corp: 39/9398b exec/s: 0 rss: 52Mb
"""


def test_the_input_of_a_killed_process_is_left_in_its_slot(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom harness.engine.worker.slot import Slot\n"
        "slot = Slot(Path(sys.argv[1]), 64)\nslot.put(b'the one before, longer')\nslot.put(b'the one')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "slot"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_slot(tmp_path / "slot") == b"the one"


def test_a_slot_that_was_never_filled_or_is_not_there_holds_nothing(tmp_path: Path) -> None:
    Slot(tmp_path / "slot", 64)
    assert read_slot(tmp_path / "slot") is None
    assert read_slot(tmp_path / "none") is None


def test_the_collector_passes_over_what_was_there_and_still_ends_cycles() -> None:
    script = (
        "import gc, weakref\nfrom harness.engine.worker.opening import collect_seldom\n"
        "class Ring: pass\n"
        "collect_seldom()\n"
        "before, rings = len(gc.get_objects()), []\n"
        "for _ in range(50_000):\n"
        "    ring = Ring(); ring.ring = ring; rings.append(weakref.ref(ring))\n"
        "print(gc.get_freeze_count(), before, sum(one() is not None for one in rings))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    frozen, looked_at, left = map(int, done.stdout.split())
    assert frozen > 10 * looked_at
    assert 0 < left < 25_000


def test_semantic_features_are_numbered_in_the_order_they_show_and_never_run_over() -> None:
    counters = SemanticCounters()
    counters.hit("a")
    counters.hit(("b", 1))
    counters.hit("a")
    assert counters.index == {"a": 0, ("b", 1): 1}
    assert list(counters.table[:3]) == [1, 1, 0]
    for key in range(2 * SIZE):
        counters.hit(key)
    assert max(counters.index.values()) < SIZE


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        (LOG.replace(b"found LLVMFuzzerCustomMutator", b""), "mutator"),
        (LOG.replace(b", 4096 [0x3, 0x4)", b""), "semantic"),
        (LOG.replace(b"8279 [0x1, 0x2), ", b""), "parser"),
        (LOG.replace(b"INITED cov: 503", b"INITED cov: 0"), "edge"),
    ],
)
def test_the_start_up_check_names_the_part_that_is_not_live(tmp_path: Path, broken: bytes, missing: str) -> None:
    log = tmp_path / "log"
    log.write_bytes(LOG)
    assert check_log(log, native=True, semantic=4096, seeds=40) == ""
    log.write_bytes(broken)
    assert missing in check_log(log, native=True, semantic=4096, seeds=40)


def test_a_run_without_seeds_may_start_without_an_edge(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(LOG.replace(b"#40\tINITED cov: 503 ft: 1197 corp: 39/9398b exec/s: 0", b"#2\tINITED exec/s: 0"))
    assert check_log(log, native=True, semantic=4096, seeds=0) == ""
    assert "edge" in check_log(log, native=True, semantic=4096, seeds=2)


def test_a_module_without_counters_is_said_to_have_none() -> None:
    import _struct

    with pytest.raises(EngineError, match="no coverage counters"):
        NativeCounters(Path(_struct.__file__ or sys.executable))


def test_depth_is_told_from_the_parsers_own_words() -> None:
    messages = {
        "Error while deserializing: header too small": "framing",
        "Error while deserializing header: invalid UTF-8 in header: invalid utf-8 sequence": "utf-8",
        "Error while deserializing: invalid JSON in header: missing field `dtype` at line 1": "json or fields",
        "Error while deserializing: invalid offset for tensor `a`": "layout or size",
    }
    assert {text: stage(refusal_key(text)) for text in messages} == messages
    counts = Counter(refusal_key(text) for text in messages) + Counter({ACCEPTED: 2})
    assert deep(counts) == 3


def test_settings_come_back_as_they_were_saved(tmp_path: Path) -> None:
    settings = WorkerSettings(
        target="deserialize",
        parser=None,
        seed=3,
        campaign=tmp_path,
        memory=tmp_path / "m",
        log=tmp_path / "log",
        seed_dirs=(tmp_path,),
        guards=('["a"]',),
        record=tmp_path / "r",
    )
    settings.save(tmp_path / "settings.json")
    assert WorkerSettings.load(tmp_path / "settings.json") == settings


def test_recorded_inputs_come_back_in_order_and_a_torn_end_is_left_out(tmp_path: Path) -> None:
    ran: list[bytes] = []
    recorder = recording.Recorder(tmp_path / "inputs", ran.append, skip=1)
    for data in (b"skipped", b"", b"one", b"two"):
        recorder(data)
    recorder.close()
    assert ran == [b"skipped", b"", b"one", b"two"]
    assert recording.read(tmp_path / "inputs") == [b"", b"one", b"two"]
    (tmp_path / "inputs").write_bytes((tmp_path / "inputs").read_bytes()[:-1])
    assert recording.read(tmp_path / "inputs") == [b"", b"one"]


def left_behind(campaign: Path) -> Path:
    """The folder in memory of a process that is no more, with one input in it."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom harness import corpus_store\nfrom harness.engine.worker import memory\n"
        "folder = memory.create(Path(sys.argv[1]), 'deserialize')\n"
        "corpus_store.add(folder / 'corpus', b'kept')\nprint(folder)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, campaign], capture_output=True, text=True, check=True)
    left = Path(done.stdout.strip())
    assert left.is_dir()
    wait_until(
        lambda: memory.abandoned(campaign) == [(left, "deserialize")], what="the process that owned the folder is gone"
    )
    return left


def test_what_a_killed_campaign_left_in_memory_is_taken_over(tmp_path: Path) -> None:
    campaign = tmp_path / "campaign"
    campaign.mkdir()
    left = left_behind(campaign)
    assert list(Mirror(left, Kept(campaign / "corpus" / "deserialize")).sync().values()) == [b"kept"]
    assert [path.read_bytes() for path in (campaign / "corpus" / "deserialize").iterdir()] == [b"kept"]
    memory.remove(left)
    assert memory.abandoned(campaign) == []


def test_a_fresh_campaign_has_nothing_of_one_that_was_killed(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    assert folder.prepare(tmp_path, fresh=True) == 0
    assert not left.exists()
    assert not list(tmp_path.glob("corpus/*"))
    assert [path.read_bytes() for path in tmp_path.glob("old-1/corpus/deserialize/*")] == [b"kept"]


def test_memory_of_a_campaign_whose_disk_is_away_is_kept_for_a_day(tmp_path: Path) -> None:
    campaign = tmp_path / "campaign"
    campaign.mkdir()
    left = left_behind(campaign)
    campaign.rmdir()
    other = tmp_path / "other"
    assert memory.abandoned(other) == []
    assert (left / "corpus").is_dir()
    past = time.time() - 90_000
    os.utime(left / "owner", (past, past))
    memory.abandoned(other)
    assert not left.exists()


def test_each_death_of_one_signature_counts() -> None:
    progress = Progress(("deserialize",), 60.0, 0)
    for size in (9, 5, 7):
        progress.died({"id": "a", "known": "", "signature": "a", "count": 1, "size": size, "target": "deserialize"})
    progress.update([])
    assert (progress.findings["a"]["count"], progress.findings["a"]["size"]) == (3, 5)


class Ended:
    """What is read of a worker that has ended."""

    settings = SimpleNamespace(target="deserialize")
    engine: ClassVar = {"cov": 3, "ft": 3, "corp": 1}
    status: ClassVar = {"executions": 5}


def test_the_ledgers_entry_waits_for_the_figures_of_a_worker_that_ended() -> None:
    """A look at the ledger between a worker's end and the next sum must not keep what was there before, for good."""
    progress = Progress(("deserialize",), 60.0, 0)
    progress.update([])
    assert progress.summary()["per_target"]["deserialize"]["executions"] == 0
    progress.ended(cast(Any, Ended()))
    assert progress.summary()["per_target"]["deserialize"]["executions"] == 0
    progress.update([])
    assert progress.summary()["per_target"]["deserialize"]["executions"] == 5


def test_a_running_campaigns_memory_is_left_alone(tmp_path: Path) -> None:
    folder = memory.create(tmp_path, "deserialize")
    try:
        assert json.loads("[" + (folder / "owner").read_text().split("\n", 1)[0] + "]") == [os.getpid()]
        assert memory.abandoned(tmp_path) == []
        assert folder.is_dir()
    finally:
        memory.remove(folder)


def test_a_verdict_that_covers_more_than_one_execution_in_a_hundred_is_too_wide() -> None:
    progress = Progress(("deserialize",), 60.0, 0)
    progress.targets["deserialize"] = TargetProgress(sums=Counter(executions=1000))
    padding, first = (
        f"deserialize|differential|{rule}|accepted/tab" for rule in ("header.padding", "header.first-byte")
    )
    progress.findings = {
        "a": {"count": 11, "known": "verdict:wide", "signature": padding},
        "b": {"count": 10, "known": "verdict:narrow", "signature": first},
        "c": {"count": 500, "known": "header.padding-12345678", "signature": padding},
    }
    assert progress.too_wide() == [("wide", 0.011)]
