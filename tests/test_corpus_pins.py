"""Pins beside the seeds: they round-trip, survive a kill, and say what to do where their seed is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import corpus_pins, corpus_store
from harness.corpus_pins import Pin
from harness.corpus_store import Provenance
from harness.errors import HarnessError

NAME = corpus_store.sha1(b"seed")


@given(st.dictionaries(st.binary().map(corpus_store.sha1), st.builds(Pin, st.text(), st.text())))
def test_pins_round_trip(tmp_path_factory, pins):
    folder = tmp_path_factory.mktemp("seeds")
    corpus_pins.write(folder, pins)
    # A lone surrogate has no place in TOML; it is spelled out.
    clean = {
        name: Pin(*(t.encode("utf-8", "backslashreplace").decode() for t in (p.file, p.why)))
        for name, p in pins.items()
    }
    assert corpus_pins.read(folder) == clean


def test_a_pin_is_readable_and_no_foreign_file(tmp_path: Path):
    folder = tmp_path / "model"
    assert corpus_pins.pin(folder, Path("mine/odd.safetensors"), b"seed", 'so "odd"')
    text = (folder / corpus_store.PINS).read_text()
    assert text.splitlines()[-3:] == [f"[{NAME}]", 'file = "odd.safetensors"', 'why = "so \\"odd\\""']
    assert corpus_store.list_seeds(folder) == corpus_store.SeedListing([(NAME, b"seed")])
    assert corpus_store.read_provenance(folder) == {NAME: Provenance("import", "odd.safetensors")}


def test_a_second_pin_replaces_the_reason_and_keeps_the_seed_and_its_origin(tmp_path: Path):
    corpus_store.change(tmp_path / "model", {NAME: (b"seed", Provenance("campaign", "night", 3))})
    assert not corpus_pins.pin(tmp_path / "model", tmp_path / "model" / NAME, b"seed", "first")
    assert not corpus_pins.pin(tmp_path / "model", tmp_path / "model" / NAME, b"seed", "second")
    assert corpus_pins.read(tmp_path / "model") == {NAME: Pin("night", "second")}
    assert corpus_store.read_provenance(tmp_path / "model")[NAME].source == "campaign"


def test_the_file_goes_with_the_last_pin_and_the_seed_stays(tmp_path: Path):
    corpus_pins.pin(tmp_path, Path("odd"), b"seed", "odd")
    assert corpus_pins.unpin(tmp_path, NAME)
    assert not corpus_pins.unpin(tmp_path, NAME)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([NAME, corpus_store.PROVENANCE])


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_pin_without_its_seed_says_what_to_do(tmp_path: Path, damage: str):
    folder = tmp_path / "model"
    corpus_pins.pin(folder, Path("odd.safetensors"), b"seed", "odd")
    if damage == "gone":
        (folder / NAME).unlink()
    else:
        (folder / NAME).write_bytes(b"other")
    seeds = {name for name, _ in corpus_store.list_seeds(folder).seeds}
    with pytest.raises(
        HarnessError, match=rf"pinned seed {NAME} \(odd.safetensors\) of target model is gone"
    ) as caught:
        corpus_pins.of_seeds(folder, seeds)
    assert f"harness corpus pin --remove {NAME} --target model" in caught.value.hint
    assert corpus_pins.unpin(folder, NAME)
    assert corpus_pins.of_seeds(folder, seeds) == {}


@pytest.mark.parametrize("content", [b'["x', b"\xff", b"[a]\nwhy = 1\n", b"a = 1\n", b"a = 'file why'\n"])
def test_damaged_pins_are_named(tmp_path: Path, content: bytes):
    (tmp_path / corpus_store.PINS).write_bytes(content)
    with pytest.raises(HarnessError, match=r"pins.toml is damaged") as caught:
        corpus_pins.read(tmp_path)
    assert "version control" in caught.value.hint


def test_a_seed_tells_its_target_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus" / "model").mkdir(parents=True)
    assert corpus_pins.targets_of(Path("corpus/model") / NAME, tmp_path / "corpus") == ["model"]
    assert corpus_pins.targets_of(Path("corpus/model/deeper") / NAME, tmp_path / "corpus") == []
    assert corpus_pins.targets_of(Path("odd.safetensors"), tmp_path / "corpus") == []


def test_another_process_that_changes_the_seeds_is_waited_for(tmp_path: Path):
    with corpus_store.locked(tmp_path / "model"), pytest.raises(HarnessError, match="another process"):
        corpus_pins.pin(tmp_path / "model", Path("odd"), b"seed", "odd")
    assert corpus_pins.read(tmp_path / "model") == {}
