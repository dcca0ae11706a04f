"""The releases, or the commit, since when a filed finding shows: its reproducer runs on one after the other."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import harness
from harness import paths
from harness.errors import HarnessError
from harness.findings import crashes
from harness.findings.crashes import Crash
from harness.parsers import build, compilation, registry, sources

#: The oldest release that is tried. Older ones have other modules.
OLDEST = "0.2.8"
#: Answers of a reproducer, by its exit status.
SHOWS, RIGHT, UNKNOWN = "shows", "does not show", "cannot tell"
_ANSWERS = {1: SHOWS, 0: RIGHT}
_SECONDS = 120.0
# `git bisect run` skips a commit at this status.
_SKIP = 125

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """One run of a reproducer: SHOWS, RIGHT or UNKNOWN, and for the last its last line of output."""

    answer: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """The answers of the releases that were tried, the oldest first.

    ``first`` is the first release of the newest unbroken run of bad ones; "" where none of them is bad. Releases that
    cannot tell do not break a run. ``regression`` says that a release before it was right.
    """

    id: str
    answers: dict[str, Answer] = field(default_factory=dict)

    @property
    def releases(self) -> tuple[str, ...]:
        """The releases that show it."""
        return tuple(name for name, one in self.answers.items() if one.answer == SHOWS)

    @property
    def first(self) -> str:
        """The first release of the newest run of bad ones."""
        first = ""
        for name, one in self.answers.items():
            if one.answer == SHOWS:
                first = first or name
            elif one.answer == RIGHT:
                first = ""
        return first or (self.releases[-1] if self.releases else "")

    @property
    def regression(self) -> bool:
        """Whether a release before :attr:`first` was right."""
        names = list(self.answers)
        before = names[: names.index(self.first)] if self.first else []
        return any(self.answers[name].answer == RIGHT for name in before)


def order(version: str) -> tuple[int, ...]:
    """The numbers of a final release, by which releases are sorted."""
    return tuple(int(part) for part in version.split("."))


@lru_cache(1)
def released() -> tuple[str, ...]:
    """The final releases of the index from OLDEST on, the oldest first. Raises HarnessError when there is no index."""
    found = [name for name in sources.released(compilation.environment()) if re.fullmatch(r"\d+\.\d+\.\d+", name)]
    if not found:
        raise HarnessError("the package index cannot be reached", hint="name releases that are cached with --release")
    newest = registry.default_release()
    return tuple(sorted((r for r in found if order(OLDEST) <= order(r) <= order(newest)), key=order))


def site(release: str, say: Say) -> Path:
    """The folder with the wheel of ``release``, installed on first use into ``build/cache/wheels``.

    Raises HarnessError where it does not install here.
    """
    folder = paths.build_dir() / "cache" / "wheels" / release
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.parent / f"{release}.log"
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as partial:
        if not compilation.install_wheel(release, Path(partial, "site"), lambda _: say(f"fetching {release}"), log):
            raise HarnessError(f"release {release} has no wheel for this Python", hint="name other releases")
        if not folder.is_dir():  # another process was no quicker
            os.rename(Path(partial, "site"), folder)
    return folder


def ask(script: Path, library: Path, crate: str) -> Answer:
    """Run ``script`` with the safetensors in ``library``, in a process of its own. Frameworks may stand on ``PYTHONPATH``.

    ``crate`` is the version or the folder of the Rust crate, for a script in Rust.
    """
    path = os.pathsep.join(filter(None, (str(library), os.environ.get("PYTHONPATH"))))
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": path, "PYTHONNOUSERSITE": "1", "RUST_BACKTRACE": "0",
        "PYTHONDONTWRITEBYTECODE": "1", "SAFETENSORS_CRATE": crate,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run([sys.executable, str(script.resolve())], env=environment, cwd=folder,
                                  capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            return Answer(UNKNOWN, f"no end within {_SECONDS:.0f} s")
    answer = _ANSWERS.get(done.returncode, UNKNOWN)
    lines = (done.stdout + done.stderr).strip().splitlines() or [f"exit status {done.returncode}"]
    return Answer(answer, lines[-1][:200] if answer == UNKNOWN else "")


def history(crash: Crash, releases: Sequence[str], say: Say) -> History:
    """The answers for ``crash``: of the last release of each minor version, then of those between two unlike answers."""
    script = crash.folder / crashes.REPRODUCER
    ends = [
        name for i, name in enumerate(releases) if [*releases, ""][i + 1].rpartition(".")[0] != name.rpartition(".")[0]
    ]
    answers: dict[str, Answer] = {}

    def answer(release: str) -> Answer:
        return ask(script, site(release, say), release)

    def narrow(low: int, high: int) -> None:
        if high - low > 1 and answers[releases[low]].answer != answers[releases[high]].answer:
            middle = (low + high) // 2
            answers.setdefault(releases[middle], answer(releases[middle]))
            narrow(low, middle)
            narrow(middle, high)

    points = sorted({0, *(releases.index(name) for name in ends)}) if releases else []
    for point in points:
        answers[releases[point]] = answer(releases[point])
    for low, high in itertools.pairwise(points):
        narrow(low, high)
    return History(crash.id, {name: answers[name] for name in releases if name in answers})


def histories(filed: Sequence[Crash], releases: Sequence[str], say: Say) -> Iterator[History]:
    """:func:`history` of each in turn, on as many processors as there are. The releases are installed (:func:`site`)."""
    done = 0

    def one(crash: Crash) -> History:
        nonlocal done
        found = history(crash, releases, say)
        done += 1
        say(f"{done}/{len(filed)} {crash.id}: {told(found)}")
        return found

    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        yield from pool.map(one, filed)
    finally:
        pool.shutdown(cancel_futures=True)


def told(found: History) -> str:
    """The history in a clause."""
    runs: list[tuple[str, list[str]]] = []
    for name, one in found.answers.items():
        if not runs or runs[-1][0] != one.answer:
            runs.append((one.answer, []))
        runs[-1][1].append(name)
    return ", ".join(
        f"{names[0] if len(names) == 1 else names[0] + ' to ' + names[-1]} {answer}" for answer, names in runs
    )


def commits(crash: Crash, checkout: Path, good: str, bad: str, say: Say) -> str:
    """The first bad commit between ``good`` and ``bad``, as ``git bisect`` tells it.

    Works in a clone, so the checkout stays as it is. A commit that does not build is skipped. Raises HarnessError with git's
    words where it ends without a commit.
    """
    if not (checkout / ".git").exists():
        raise HarnessError(
            f"{checkout} is no git checkout", hint="--source takes a clone of the safetensors repository"
        )
    with tempfile.TemporaryDirectory(prefix="harness-bisect-") as folder:
        clone = Path(folder, "clone")
        _git(Path(folder), "clone", "--quiet", "--no-checkout", "--shared", str(checkout.resolve()), str(clone))
        say("git bisect: each commit is built and tried")
        _git(clone, "bisect", "start", bad, good)
        step = [sys.executable, "-m", __name__, str(crash.folder.resolve() / crashes.REPRODUCER)]
        done = _git(clone, "bisect", "run", *step, fails=True)
    match = re.search(r"^(\w{7,40}) is the first bad commit\n(.*)", done, re.MULTILINE | re.DOTALL)
    if match is None:
        raise HarnessError(f"git bisect found no commit:\n{done[-1500:]}", hint="name other --good and --bad revisions")
    subject = re.search(r"^ {4}(.+)$", match[2], re.MULTILINE)
    return f"{match[1][:12]} {subject[1] if subject else ''}".strip()


def _git(folder: Path, *arguments: str, fails: bool = False) -> str:
    environment = os.environ | {
        "HARNESS_HOME": str(paths.home()),
        "PYTHONPATH": str(Path(harness.__file__).parent.parent),
    }
    if shutil.which("git") is None:
        raise HarnessError("git is not installed", hint="install git, or bisect over releases")
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0 and not fails:
        raise HarnessError(f"git {arguments[0]}: {done.stderr.strip()[-500:]}", hint="check --source, --good and --bad")
    return done.stdout + done.stderr


def _step(script: Path) -> int:
    """Build the checkout in the current folder, run ``script`` on it, and answer ``git bisect run``."""
    try:
        parser = build.build(
            source=Path.cwd(), flavour="wheel", name="bisect-step", progress=lambda _: None, crate_api=False
        )
    except HarnessError as error:
        print(f"skipped: {str(error).splitlines()[0]}")
        return _SKIP
    # The checkout is the repository, or its folder with the binding.
    folders = (Path.cwd() / "safetensors", Path.cwd().parent.parent / "safetensors")
    crate = next((str(path) for path in folders if (path / "Cargo.toml").is_file()), "")
    found = ask(script, parser.site, crate)
    print(found.answer, found.reason)
    return {SHOWS: 1, RIGHT: 0}.get(found.answer, _SKIP)


if __name__ == "__main__":
    sys.exit(_step(Path(sys.argv[1])))
