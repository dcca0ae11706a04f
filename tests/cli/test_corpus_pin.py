"""``harness corpus pin``, and what minimize and merge do with pins: on folders of its own, with the real parser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness import corpus_pins, corpus_store
from harness.cli.corpus import command
from harness.corpus_pins import Pin
from harness.corpus_store import MAX_SEED
from harness.coverage import intake
from harness.errors import HarnessError
from harness.format.encode import pack
from harness.parsers.registry import Parser
from tests.cli.test_corpus import names, run
from tests.engine.conftest import Fuzz


def model(*tensors: str) -> bytes:
    return pack([(name, "F16", (2,), bytes(4)) for name in tensors])


# Seeds of a user's own: a private one, a near copy, and a plain small one.
MINE = {
    "private.safetensors": model("model.layers.0.weight", "model.layers.1.weight"),
    "private-2.safetensors": model("model.layers.7.weight", "model.layers.9.weight"),
    "plain.safetensors": model("w"),
}
NAMES = {name: corpus_store.sha1(data) for name, data in MINE.items()}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    for name, data in MINE.items():
        (tmp_path / "mine" / name).write_bytes(data)
    run("import", tmp_path / "mine", "--corpus", tmp_path / "corpus", "--target", "deserialize", "--target", "model")
    return tmp_path / "mine"


@pytest.fixture
def corpus(mine: Path) -> Path:
    return mine.parent / "corpus"


def pin(corpus: Path, path: Path, *more: object) -> list[dict]:
    """The rows of ``harness corpus pin``."""
    rows: list[dict] = json.loads(run("pin", path, "--corpus", corpus, "--json", *more).stdout)
    return rows


@pytest.mark.parametrize(("target", "cap"), [("model", ()), ("deserialize", ("--max-files", "1"))])
def test_minimize_keeps_what_is_pinned_and_names_the_rest(corpus: Path, mine: Path, target: str, cap: tuple[str, ...]):
    # Each reaches all that the other does.
    pinned = [NAMES["private.safetensors"], NAMES["private-2.safetensors"]]
    for name in pinned:
        pin(corpus, corpus / target / name, "--why", "mine")
    copy = corpus_store.add(corpus / target, model("v")).name
    text = run("minimize", "--corpus", corpus, "--no-regions", "--target", target, *cap).output
    left = names(corpus, target)
    assert left >= set(pinned)
    assert ("the 2 pinned seeds alone exceed the cap" in text) == bool(cap)
    gone = {copy, *NAMES.values()} - left
    assert gone
    assert f"{target}: {len(gone)} dropped:" in text
    for name, size, origin in ((NAMES[n], len(data), f"import {n}") for n, data in MINE.items()):
        assert (f"  {name}  {size:>6} bytes  {origin}" in text) == (name in gone)
    assert (f"  {copy} " in text) == (copy in gone)


def test_without_a_pin_the_dropped_seeds_are_in_the_json_too(corpus: Path):
    (change,) = json.loads(run("minimize", "--corpus", corpus, "--target", "model", "--json").stdout)
    gone = set(NAMES.values()) - names(corpus, "model")
    assert gone
    assert {row["name"]: (row["size"], row["origin"]) for row in change["dropped"]} == {
        NAMES[name]: (len(data), f"import {name}") for name, data in MINE.items() if NAMES[name] in gone
    }
    assert (change["pinned"], change["over_cap"]) == (0, False)


def test_a_long_list_is_cut_on_a_terminal_and_whole_in_the_json(corpus: Path, tmp_path: Path):
    for number in range(30):
        corpus_store.add(corpus / "model", model(f"layer{number:02}"))
    text = run("minimize", "--corpus", corpus, "--target", "model", "--max-files", "1").output
    assert "model: 32 dropped:" in text
    assert text.count(" bytes") == 20 + text.splitlines()[0].count(" bytes")
    assert "  and 12 more; --json lists all" in text


def test_merge_keeps_what_is_pinned_within_a_cap_and_takes_the_pins_of_others(corpus: Path, mine: Path, tmp_path: Path):
    pin(corpus, mine / "plain.safetensors", "--target", "model", "--why", "plain")
    other = tmp_path / "other"
    pin(other, mine / "private.safetensors", "--target", "model", "--why", "private")
    cache = tmp_path / "cache"
    corpus_store.add(cache / "model", model("another"))
    (change,) = json.loads(
        run("merge", corpus, other, "--corpus", cache, "--target", "model", "--max-files", "1", "--json").stdout
    )
    assert corpus_pins.read(cache / "model") == {
        NAMES["plain.safetensors"]: Pin("plain.safetensors", "plain"),
        NAMES["private.safetensors"]: Pin("private.safetensors", "private"),
    }
    assert names(cache, "model") == {NAMES["plain.safetensors"], NAMES["private.safetensors"]}
    assert (change["pinned"], change["over_cap"]) == (2, True)
    assert [row["name"] for row in change["dropped"]] == [corpus_store.sha1(model("another"))]


def test_a_seed_that_ends_its_process_stays_only_where_it_is_pinned(tmp_path: Path, sancov_parser: Parser):
    good, pinned, other = (
        pack([(name, dtype, (1,), b"x")]) for name, dtype in (("a", "U8"), ("a", "F8_E8M0"), ("b", "F8_E8M0"))
    )
    for data in (good, other):
        corpus_store.add(tmp_path / "deadly", data)
    corpus_pins.pin(tmp_path / "deadly", Path("customer.safetensors"), pinned, "a customer's")
    words = ("--corpus", str(tmp_path), "--target", "deadly", "--no-regions", "--json")
    command = [sys.executable, "-m", "harness", "corpus", "minimize", *words]
    done = subprocess.run(
        command, env=Fuzz(tmp_path).environment(), stdout=subprocess.PIPE, text=True, timeout=300, check=True
    )
    (change,) = json.loads(done.stdout)
    assert names(tmp_path, "deadly") == {corpus_store.sha1(good), corpus_store.sha1(pinned)}
    assert (change["killed"], [row["name"] for row in change["dropped"]]) == (1, [corpus_store.sha1(other)])


def test_stats_show_the_pins(corpus: Path, mine: Path):
    pin(corpus, mine / "plain.safetensors", "--target", "model", "--why", "a small one")
    found = json.loads(run("stats", "--corpus", corpus, "--target", "model", "--json").stdout)
    assert found[0]["pinned"] == {NAMES["plain.safetensors"]: {"file": "plain.safetensors", "why": "a small one"}}
    text = run("stats", "--corpus", corpus, "--target", "model").output
    assert f"pinned {NAMES['plain.safetensors'][:12]} plain.safetensors: a small one" in text


def test_the_target_is_that_of_the_seed_or_all_that_take_files(corpus: Path, mine: Path, tmp_path: Path):
    seed = corpus / "model" / NAMES["plain.safetensors"]
    assert pin(corpus, seed, "--why", "x") == [{"target": "model", "seed": seed.name, "new": False, "again": False}]
    rows = pin(tmp_path / "new", mine / "plain.safetensors", "--why", "x")
    assert [row["target"] for row in rows] == intake.file_targets()
    assert all(row["new"] for row in rows)


def test_unpinning_by_path_by_name_and_by_content(corpus: Path, mine: Path):
    name, file = NAMES["plain.safetensors"], mine / "plain.safetensors"
    for spelled in (corpus / "model" / name, name, file):
        pin(corpus, file, "--target", "model", "--why", "x")
        assert pin(corpus, Path(spelled), "--remove") == [{"target": "model", "seed": name}]
        with pytest.raises(HarnessError, match="no such pin"):
            pin(corpus, Path(spelled), "--remove")
    pin(corpus, file, "--target", "model", "--why", "x")
    (corpus / "model" / name).unlink()
    for verb in ("stats", "minimize"):
        with pytest.raises(HarnessError, match="is gone"):
            run(verb, "--corpus", corpus, "--target", "model")
    assert f"model: unpinned {name}" in run("pin", name, "--remove", "--corpus", corpus).output


@pytest.mark.parametrize("words", [(), ("--why", "x", "--remove"), ("--why", " ")])
def test_a_reason_or_a_removal_is_asked_for(corpus: Path, mine: Path, words: tuple[str, ...]):
    with pytest.raises(click.UsageError, match="--why"):
        CliRunner().invoke(
            command,
            ["pin", str(mine / "plain.safetensors"), "--corpus", str(corpus), *words],
            standalone_mode=False,
            catch_exceptions=False,
        )


def test_what_is_no_seed_is_refused(corpus: Path, tmp_path: Path):
    (tmp_path / "large").write_bytes(bytes(MAX_SEED + 1))
    with pytest.raises(HarnessError, match=f"a seed has at most {MAX_SEED}"):
        run("pin", tmp_path / "large", "--why", "x", "--corpus", corpus)
    with pytest.raises(HarnessError, match="No such file"):
        run("pin", tmp_path / "missing", "--why", "x", "--corpus", corpus)


def test_a_second_pin_says_that_the_reason_is_changed_and_no_pin_cannot_be_removed(corpus: Path):
    seed = corpus / "model" / NAMES["plain.safetensors"]
    pin(corpus, seed, "--why", "x")
    assert "pinned already; the reason is changed: " in run("pin", seed, "--why", "y", "--corpus", corpus).output
    with pytest.raises(HarnessError, match="no such pin: unknown"):
        run("pin", "unknown", "--remove", "--corpus", corpus)
