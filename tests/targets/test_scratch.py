from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.programs import guarded
from harness.targets import scratch
from harness.targets.paths.world import as_user
from harness.targets.scratch import OpenFiles
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that takes all that processes of this test keep in memory."""
    (tmp_path / "memory").mkdir()
    monkeypatch.setenv(scratch.VARIABLE, str(tmp_path / "memory"))
    return tmp_path / "memory"


def test_a_child_s_folder_goes_however_the_child_ends(place: Path) -> None:
    script = "from harness.targets import scratch\nimport os\nprint(scratch.folder('x'))\nos.kill(os.getpid(), 9)"
    with scratch.for_child() as environment:
        done = subprocess.run([sys.executable, "-c", script], env=os.environ | environment, stdout=-1, check=False)
        assert done.returncode == -signal.SIGKILL
        assert Path(done.stdout.decode().strip()).is_dir()
    assert list(place.iterdir()) == []


def test_what_a_killed_parent_left_goes_with_the_next_folder(place: Path) -> None:
    script = "from harness.targets import scratch\nimport os\nscratch.make()\nos.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    (left,) = place.iterdir()
    own = Path(scratch.make())
    assert not left.exists()
    assert list(place.iterdir()) == [own]
    assert Path(scratch.make()).is_dir()
    assert own.is_dir()


def test_a_process_without_a_parent_of_ours_leaves_nothing(place: Path) -> None:
    """Not at its own end, and not in a fork."""
    script = (
        "from harness.targets import scratch\nimport os, sys\nscratch.root = lambda: sys.argv[1]\n"
        "made = scratch.folder('x')\n"
        "if not os.fork(): sys.exit()\nos.wait()\nprint(made.is_dir(), made.parent.parent)"
    )
    environment = {name: value for name, value in os.environ.items() if name != scratch.VARIABLE}
    command = [sys.executable, "-c", script, str(place)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", str(place)]
    assert list(place.iterdir()) == []


def test_a_folder_whose_permissions_a_program_took_away_goes_too() -> None:
    place = Path(tempfile.mkdtemp(dir=scratch.root()))
    try:
        place.chmod(0o777)
        # The rights of root go past all permissions.
        with as_user(dropped=True):
            inner = place / "made" / "inner" / "most"
            inner.mkdir(parents=True)
            (inner / "file").touch()
            for path in (inner, inner.parent, place / "made"):
                path.chmod(0)
            scratch.remove(place / "made")
            assert list(place.iterdir()) == []
    finally:
        scratch.remove(place)


def test_a_folder_goes_while_another_process_writes_into_it(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    script = "import itertools, sys\nfor n in itertools.count(): open(f'{sys.argv[1]}/{n}', 'w').close()"
    with subprocess.Popen([sys.executable, "-c", script, str(made)], stderr=subprocess.DEVNULL) as writer:
        wait_until(lambda: len(list(made.iterdir())) > 100, what="the other process writes")
        scratch.remove(made)
        # Without the folder it fails.
        assert writer.wait(60) == 1
    assert list(tmp_path.iterdir()) == []


def test_only_one_module_names_the_memory_file_system() -> None:
    """A target that named it itself would leave its files there when it is killed."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "harness").rglob("*.py")
        if re.search(r"/dev/shm\b", path.read_text())
    }
    # checks.py looks at its size.
    assert found == {"harness/targets/scratch.py", "harness/parsers/checks.py"}


def test_a_reader_stays_open_until_others_were_used_more_recently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenFiles, "MOST", 2)
    files = OpenFiles()
    for key in (b"one", b"two"):
        assert files.get(key) is None
        assert files.add(key, key, lambda path: Path(path).read_bytes()) == key
    assert files.get(b"one") == b"one"
    files.add(b"three", b"three", lambda path: Path(path).read_bytes())
    assert [files.get(key) for key in (b"one", b"two", b"three")] == [b"one", None, b"three"]


def test_a_file_that_cannot_be_read_is_not_kept_and_leaves_no_descriptor() -> None:
    files, before = OpenFiles(), len(os.listdir("/proc/self/fd"))
    with pytest.raises(NotADirectoryError):
        files.add("key", b"", os.listdir)
    assert files.get("key") is None
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(bool(guarded.why_not()), reason="no guarded memory here")
def test_in_guarded_memory_each_run_opens_a_reader_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    files = OpenFiles()
    files.add("key", b"plain", lambda path: Path(path).read_bytes())
    monkeypatch.setattr(guarded, "_current", guarded.RUNS[0])
    assert files.get("key") is None
    assert files.add("key", b"guarded", lambda path: Path(path).read_bytes()) == b"guarded"
    assert files.get("key") is None
    monkeypatch.setattr(guarded, "_current", None)
    assert files.get("key") == b"plain"
