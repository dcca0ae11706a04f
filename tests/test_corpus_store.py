"""Seed folders: what counts as a seed, what is skipped, and that provenance survives a round trip."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import corpus_store
from harness.corpus_store import Provenance
from harness.errors import HarnessError


def test_seeds_come_back_ordered_by_name(tmp_path):
    for data in (b"one", b"two", b"", b"three"):
        corpus_store.add(tmp_path, data)
    listing = corpus_store.list_seeds(tmp_path)
    assert [name for name, _ in listing.seeds] == sorted(name for name, _ in listing.seeds)
    assert {data for _, data in listing.seeds} == {b"one", b"two", b"", b"three"}
    assert listing.skipped == []
    assert listing.warning == ""


def test_the_name_is_the_sha1(tmp_path):
    path = corpus_store.add(tmp_path / "new" / "folder", b"abc")
    assert path.name == "a9993e364706816aba3e25717850c26c9cd0d89d"
    assert path.read_bytes() == b"abc"


def test_adding_twice_keeps_the_file(tmp_path):
    first = corpus_store.add(tmp_path, b"abc").stat().st_ino
    assert corpus_store.add(tmp_path, b"abc").stat().st_ino == first


def test_a_missing_folder_has_no_seeds(tmp_path):
    assert corpus_store.list_seeds(tmp_path / "absent") == corpus_store.SeedListing()


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HarnessError, match="cannot read the corpus folder"):
        corpus_store.list_seeds(tmp_path / "file")


def test_foreign_files_are_skipped_and_named(tmp_path):
    good = corpus_store.add(tmp_path, b"good").name
    names = {kind: corpus_store.sha1(kind.encode()) for kind in ("folder", "fifo", "edited", "large", "dangling")}
    (tmp_path / "model.safetensors").write_bytes(b"x")
    (tmp_path / names["folder"]).mkdir()
    os.mkfifo(tmp_path / names["fifo"])
    (tmp_path / names["edited"]).write_bytes(b"something else")
    (tmp_path / names["dangling"]).symlink_to("nowhere")
    with (tmp_path / names["large"]).open("wb") as file:
        file.truncate(5_000_000_000)  # sparse: must be refused by its size, not read
    (tmp_path / "README.md").write_text("belongs here")
    (tmp_path / ".tmp-abc").write_text("a write that was killed")

    listing = corpus_store.list_seeds(tmp_path)

    assert [name for name, _ in listing.seeds] == [good]
    reasons = dict(entry.split(" ", 1) for entry in listing.skipped)
    assert reasons == {
        "model.safetensors": "(name is no SHA-1)",
        names["folder"]: "(no regular file)",
        names["fifo"]: "(no regular file)",
        names["edited"]: "(content does not match its name)",
        names["dangling"]: "(No such file or directory)",
        names["large"]: f"(5000000000 bytes, the limit is {corpus_store.MAX_SEED})",
    }
    assert listing.warning.startswith("skipped 6 foreign files: ")
    assert listing.warning.endswith("and 3 more")


@given(
    st.dictionaries(
        st.binary().map(corpus_store.sha1),
        st.builds(
            Provenance,
            st.sampled_from(["generator", "campaign", "import"]),
            st.text(),
            st.none() | st.integers(0, 2**63 - 1),
        ),
    )
)
def test_provenance_round_trip(tmp_path_factory, provenance):
    folder = tmp_path_factory.mktemp("seeds")
    corpus_store.write_provenance(folder, provenance)
    assert corpus_store.read_provenance(folder) == {
        name: Provenance(p.source, p.detail.replace("\x7f", "?"), p.seed) for name, p in provenance.items()
    }


def test_odd_file_names_can_be_recorded(tmp_path):
    name = corpus_store.sha1(b"")
    corpus_store.write_provenance(tmp_path, {name: Provenance("import", os.fsdecode(b"a\xff.safetensors"))})
    assert corpus_store.read_provenance(tmp_path)[name].detail == "a?.safetensors"


def test_provenance_is_readable_and_no_foreign_file(tmp_path):
    name = corpus_store.add(tmp_path, b"abc").name
    corpus_store.write_provenance(tmp_path, {name: Provenance("generator", "generate", 7)})
    assert (
        f'"{name}" = {{ source = "generator", detail = "generate", seed = 7 }}'
        in (tmp_path / corpus_store.PROVENANCE).read_text()
    )
    assert corpus_store.list_seeds(tmp_path).skipped == []


@pytest.mark.parametrize("content", [b'"x', b"\xff", b'"' + b"a" * 40 + b'" = { source = "import" }', b"a = 1\n"])
def test_damaged_provenance(tmp_path, content):
    (tmp_path / corpus_store.PROVENANCE).write_bytes(content)
    if content == b"a = 1\n":  # not an entry of ours: left alone
        assert corpus_store.read_provenance(tmp_path) == {}
    else:
        with pytest.raises(HarnessError, match="is damaged"):
            corpus_store.read_provenance(tmp_path)
