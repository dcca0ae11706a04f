from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from harness.engine.campaign import folder
from harness.engine.campaign.campaign_corpus import CampaignCorpus, CorpusSync
from harness.engine.worker import memory
from tests.waiting import wait_until


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
        lambda: (left, campaign, "deserialize") in memory.abandoned(), what="the process that owned the folder is gone"
    )
    return left


def test_what_a_killed_campaign_left_in_memory_is_taken_over(tmp_path: Path) -> None:
    campaign = tmp_path / "campaign"
    campaign.mkdir()
    left = left_behind(campaign)
    assert list(CorpusSync(left, CampaignCorpus(campaign / "corpus" / "deserialize")).sync().values()) == [b"kept"]
    assert [path.read_bytes() for path in (campaign / "corpus" / "deserialize").iterdir()] == [b"kept"]
    memory.remove(left)
    assert campaign not in {path for _, path, _ in memory.abandoned()}


def test_another_campaign_moves_what_a_killed_one_left_in_memory_to_its_corpus(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    with folder.locked(tmp_path):
        folder.tidy_others()
        assert left.is_dir()  # one that runs takes over its own
    folder.tidy_others()
    assert not left.exists()
    assert [path.read_bytes() for path in tmp_path.glob("corpus/deserialize/*")] == [b"kept"]


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
    assert left not in {path for path, _, _ in memory.abandoned()}
    assert (left / "corpus").is_dir()
    past = time.time() - 90_000
    os.utime(left / "owner", (past, past))
    memory.abandoned()
    assert not left.exists()


def test_a_running_campaigns_memory_is_left_alone(tmp_path: Path) -> None:
    folder = memory.create(tmp_path, "deserialize")
    try:
        assert json.loads("[" + (folder / "owner").read_text().split("\n", 1)[0] + "]") == [os.getpid()]
        assert folder not in {path for path, _, _ in memory.abandoned()}
        assert folder.is_dir()
    finally:
        memory.remove(folder)
