"""Checkpoints in the layouts of the libraries, sound and broken, before the command itself."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.bench.checkpoints import breakages, layout, measure, recorded

#: As harness.bench.checkpoints.recorded printed them.
RECORDED = json.loads(Path(__file__).with_name("layouts.json").read_text())
LAYOUTS = [layout.every()[name] for name in RECORDED]
BREAKAGES = breakages.every()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    for name, files in RECORDED.items():
        recorded.rebuild(files, folder / name)
    return folder


def breaks(written: Path, copies: Path, name: str, layouts: list[layout.Layout]) -> list[layout.Layout]:
    """The checkpoints that a breakage applies to."""
    found = []
    for one in layouts:
        copy = copies / name / one.name
        shutil.copytree(written / one.name, copy, symlinks=True)
        if BREAKAGES[name].apply(copy / one.inside, random.Random(1)) is not None:
            found.append(one)
        shutil.rmtree(copy)
    return found


def test_a_rebuilt_checkpoint_has_the_recorded_layout(written: Path) -> None:
    assert {name: recorded.record(written / name) for name in RECORDED} == RECORDED


def test_sound_checkpoints_pass(written: Path, project: Path) -> None:
    trials = measure.sound(written, LAYOUTS)
    assert [(trial.checkpoint, trial.told) for trial in trials if not trial.right] == []
    assert len(trials) == len(RECORDED)


def test_each_checkpoint_is_broken_in_ten_ways(written: Path, tmp_path: Path) -> None:
    ways = dict.fromkeys(RECORDED, 0)
    for name in BREAKAGES:
        for one in breaks(written, tmp_path, name, LAYOUTS):
            ways[one.name] += 1
    assert {name: count for name, count in ways.items() if count < 10} == {}


#: Breakages that put a file of another kind in the place of one.
FOREIGN = {"pointer-for-index", "empty", "zeros", "lfs-pointer", "html", "message", "compressed"}


def wrong_diagnoses(written: Path, copies: Path, names: Iterable[str]) -> list[str]:
    """Each breakage on the first checkpoint that has what it breaks: all share one run of the command."""
    cases = []
    for at, name in enumerate(sorted(names)):
        turned = LAYOUTS[at % len(LAYOUTS) :] + LAYOUTS[: at % len(LAYOUTS)]
        cases.append((BREAKAGES[name], breaks(written, copies / "tried", name, turned)[:1]))
    trials = measure.broken(written, copies / "broken", cases)
    assert {trial.breakage for trial in trials} == set(names)
    return [f"{one.breakage} of {one.checkpoint}: {one.told}" for one in trials if not one.right]


def test_broken_checkpoints_are_diagnosed(written: Path, project: Path, tmp_path: Path) -> None:
    assert wrong_diagnoses(written, tmp_path, BREAKAGES.keys() - FOREIGN) == []


def test_files_of_other_formats_are_named(written: Path, project: Path, tmp_path: Path) -> None:
    assert wrong_diagnoses(written, tmp_path, FOREIGN) == []


def test_a_wrong_diagnosis_and_a_false_alarm_show(written: Path, project: Path, tmp_path: Path) -> None:
    """Expectations that the command cannot meet: another code, another file, another tensor, another word."""
    bert = [one for one in LAYOUTS if one.name == "sentence-transformers-dense"]
    truth = BREAKAGES["dtype"]

    def elsewhere(folder: Path, draw: random.Random) -> breakages.Expected:
        done = truth.apply(folder, draw)
        assert done is not None
        return replace(done, files=(folder / "config.json",))

    def other_tensor(folder: Path, draw: random.Random) -> breakages.Expected:
        done = truth.apply(folder, draw)
        assert done is not None
        return replace(done, tensors=("no.such.tensor",))

    wrong = [
        replace(truth, name="code", code="total-size"),
        replace(truth, name="says", says=("layout.hole",)),
        replace(truth, name="file", apply=elsewhere),
        replace(truth, name="tensor", apply=other_tensor),
    ]
    trials = measure.broken(written, tmp_path / "broken", [(one, bert) for one in [truth, *wrong]])
    assert [trial.right for trial in trials] == [True, False, False, False, False]
    broken = Path(trials[0].folder).parent
    (broken / "alarm").symlink_to(bert[0].name)
    alarms = measure.sound(broken, [replace(bert[0], name="alarm")])
    done = measure.Measured([], [*alarms, *trials])
    assert not done.good
    text = "\n".join(done.lines())
    assert text.count("wrong: ") == 4
    assert f"false alarm: {broken / 'alarm'}" in text
    assert measure.Measured([], trials[:1]).good
    assert not measure.Measured(["transformers-llama"], trials[:1]).good


def test_a_checkpoint_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    (libraries / "torch.py").write_text("raise ImportError('not for this machine')")
    said: list[str] = []
    failed = measure.write(tmp_path / "written", libraries, ["transformers-llama", "peft-lora"], said.append)
    assert failed == ["transformers-llama", "peft-lora"]
    assert said[0] == "  1 of 2: transformers-llama: ImportError: not for this machine"
