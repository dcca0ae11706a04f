"""A campaign whose disk, or whose memory, fills up: a real file system of a few pages, in a mount namespace of its own."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.engine.campaign import deaths
from harness.engine.campaign.process import new_settings
from harness.engine.worker import memory
from harness.engine.worker.slot import Slot
from harness.findings import store
from harness.parsers.registry import Parser
from tests.engine.conftest import Fuzz

# Mounting takes root, or user namespaces that the system lets everybody have.
_PRIVATE = ("unshare", "--user", "--map-root-user", "--mount")
_MAY_MOUNT = shutil.which("unshare") is not None and (
    subprocess.run([*_PRIVATE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode
    == 0
)
needs_mount = pytest.mark.skipif(not _MAY_MOUNT, reason="this system lets nobody but root mount a file system")


def private(fuzz: Fuzz, script: str) -> subprocess.CompletedProcess[str]:
    """A shell script with mounts that nobody else sees."""
    return subprocess.run(
        [*_PRIVATE, "sh", "-euc", script],
        env=fuzz.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@needs_mount
@pytest.mark.parametrize("size", ["40k", "400k"])
def test_a_full_disk_ends_the_campaign_and_what_it_had_is_there_when_there_is_room(
    tmp_path: Path, fuzz: Fuzz, size: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    full, later, kept = tmp_path / "full", tmp_path / "later", tmp_path / "kept"
    fuzz.campaign = disk / "campaign"
    command = shlex.join(fuzz.command("--target", "deserialize", "--runs", "20000"))
    list_kept = f"for f in $(grep -ls {fuzz.campaign} {memory.root()}/*/owner); do ls ${{f%owner}}corpus; done >{kept}"
    done = private(
        fuzz,
        f"mount -t tmpfs -o size={size} none {disk}\n"
        f"{command} && exit 90 || test $? = 2\ncp -r {fuzz.campaign} {full}\n{list_kept}\n"
        f"mount -o remount,size=40m {disk}\n"
        f"{command} || test $? = 1\ncp -r {fuzz.campaign} {later}\n",
    )
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr
    assert "the next campaign here takes them over" in done.stderr
    assert "defect" not in done.stderr
    # No half-written file, and nobody is blamed for the disk.
    before, after = store.findings(full), {finding.id: finding for finding in store.findings(later)}
    assert before
    assert not list(full.rglob(".tmp-*"))
    assert all(finding.size == len(finding.data()) for finding in before)
    assert {finding.id for finding in before} <= after.keys()
    assert "crash" not in {finding.kind for finding in after.values()}
    session = json.loads((later / "campaign.json").read_text())["sessions"][-1]
    # How much of it was on the disk already when that was full is a matter of chance.
    stored = {path.name for path in (full / "corpus/deserialize").glob("*")}
    assert session["recovered"] == len(set(kept.read_text().split()) - stored)
    left = {path.name for path in (later / "corpus/deserialize").glob("*")}
    replaced = later / "log/replaced.txt"
    assert stored <= left | {Path(line).name for line in (replaced.read_text().split() if replaced.exists() else ())}
    assert session["executions"] == 20000


@needs_mount
def test_a_folder_that_may_only_be_read_is_said_so_and_left_as_it_is(tmp_path: Path, fuzz: Fuzz) -> None:
    disk, later = tmp_path / "disk", tmp_path / "later"
    disk.mkdir()
    fuzz.campaign = disk / "campaign"
    command = shlex.join(fuzz.command("--target", "deserialize", "--runs", "500"))
    done = private(
        fuzz,
        f"mount -t tmpfs -o size=40m none {disk}\n{command} || test $? = 1\nmount -o remount,ro {disk}\n"
        f"{command} && exit 90 || test $? = 2\ncp -r {fuzz.campaign} {later}\n",
    )
    assert done.returncode == 0, done.stderr
    assert "Read-only file system" in done.stderr
    assert "name another --campaign" in done.stderr
    (session,) = json.loads((later / "campaign.json").read_text())["sessions"]
    assert session["executions"] == 500
    assert store.findings(later)


@needs_mount
@pytest.mark.parametrize("size", ["16k", "900k", "2m"])
def test_memory_that_is_full_is_said_so_and_blamed_on_nobody(fuzz: Fuzz, size: str) -> None:
    command = shlex.join(fuzz.command("--target", "deserialize", "--runs", "200000"))
    done = private(fuzz, f"mount -t tmpfs -o size={size} none /dev/shm\n{command} && exit 90 || exit $?")
    assert done.returncode == 2, done.stderr
    assert "/dev/shm" in done.stderr
    assert "defect" not in done.stderr
    assert "crash" not in {finding.kind for finding in store.findings(fuzz.campaign)}


def test_a_death_that_cannot_be_recorded_is_recorded_by_the_next_campaign(
    tmp_path: Path, sancov_parser: Parser
) -> None:
    settings = new_settings(target="deserialize", parser=sancov_parser.name, seed=1, campaign=tmp_path)
    try:
        settings.save(settings.memory / "settings.json")
        Slot(settings.memory / "slot", 100).put(b"the last input", 1)
        in_the_way = tmp_path / "findings"
        in_the_way.write_text("")
        with pytest.raises(OSError, match="findings"):
            deaths.record(tmp_path, settings, b"the last input", "crash", "SIGSEGV", 7)
        in_the_way.unlink()
        deaths.recover(settings.memory)
        (found,) = store.findings(tmp_path)
        assert (found.kind, found.data(), found.execution, found.count) == ("crash", b"the last input", 7, 1)
        # Recorded once is enough.
        deaths.recover(settings.memory)
        assert [finding.count for finding in store.findings(tmp_path)] == [1]
    finally:
        memory.remove(settings.memory)
