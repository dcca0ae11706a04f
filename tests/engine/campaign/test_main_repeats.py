"""A run of N executions with one worker and one seed repeats to the last byte, on every target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from harness.targets.registry import all_targets, get_target
from tests.engine.campaign.worker_forks import Workers
from tests.engine.conftest import Fuzz

TARGETS = sorted(name for name, target in all_targets().items() if not target.missing())
#: Executions beyond the seeds by day. Runs of some targets take long: of these, some seeds run alone.
BEYOND = {"sizes": 4, "paths": 10, "ambient": 50, "device": 60}
SEEDS_ALONE = {"huge": 4, "resources": 3}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


#: Targets with as much memory may import torch.
LARGE_MB = 1024


@pytest.fixture(scope="module")
def workers() -> Iterator[dict[bool, tuple[Workers, Workers]]]:
    """Two processes each: their addresses differ, as those of any two workers do."""
    with ExitStack() as stack:
        yield {
            large: (stack.enter_context(closing(Workers(*modules))), stack.enter_context(closing(Workers(*modules))))
            for large, modules in ((False, ("numpy",)), (True, ("numpy", "torch")))
        }


@pytest.mark.parametrize("target", TARGETS)
def test_two_workers_of_one_seed_do_the_same(
    target: str, workers: dict[bool, tuple[Workers, Workers]], tmp_path: Path, sancov_parser: object
) -> None:
    pair = workers[get_target(target).memory_mb > LARGE_MB]
    beyond = BEYOND.get(target, 150)
    one, other = (
        process.run(target, SEEDS_ALONE.get(target, 0), beyond, tmp_path / str(number))
        for number, process in enumerate(pair)
    )
    assert one == other
    assert one["status"] == 0
    assert one["features"]
    executions, *_, defects = one["figures"]
    assert executions >= SEEDS_ALONE.get(target, beyond)
    assert defects == 0


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS)
def test_two_campaigns_of_one_seed_do_the_same(target: str, tmp_path: Path, sancov_parser: object) -> None:
    runs = {"huge": 100, "resources": 60, "sizes": 500}.get(target, 2000)
    corpora = []
    for place in ("one", "other"):
        fuzz = Fuzz(tmp_path / place, patience=1800)
        done = fuzz("--target", target, "--runs", str(runs), "--seed", "4242", "--workers", "1")
        assert done.returncode in (0, 1), done.stderr
        assert fuzz.session()["per_target"][target]["executions"] == runs
        corpora.append(contents(fuzz.campaign / "corpus" / target))
    assert corpora[0]
    assert corpora[0] == corpora[1]


@pytest.mark.long
def test_a_worker_that_dies_is_continued_from_the_execution_that_killed_it(
    tmp_path: Path, sancov_parser: object
) -> None:
    ends = []
    for place in ("one", "other"):
        fuzz = Fuzz(tmp_path / place, patience=1800)
        done = fuzz("--target", "deadly", "--runs", "6000", "--seed", "5", "--workers", "1", "--empty-corpus")
        assert done.returncode in (0, 1), done.stderr
        session = fuzz.session()
        assert session["workers_started"] > 1
        assert session["executions"] == 6000
        ends.append((session["workers_started"], contents(fuzz.campaign / "corpus" / "deadly")))
    assert ends[0] == ends[1]
