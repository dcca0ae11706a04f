"""Objects in a folder, in memory and on a real S3 server; addresses and errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.store.objects import Objects, Unreachable, open_store
from tests.s3_server import S3Server

pytest.importorskip("obstore", reason="the extra cluster brings it")


def test_an_object_is_created_once_and_stays_as_it_is(objects: Objects) -> None:
    assert objects.create("corpus/a/1", b"first")
    assert not objects.create("corpus/a/1", b"second")
    assert objects.read("corpus/a/1", 100) == b"first"
    assert objects.read("corpus/a/2", 100) is None


def test_a_listing_is_in_order_and_goes_on_behind_a_name(objects: Objects) -> None:
    for name in ("b", "a", "c"):
        objects.create(f"corpus/t/{name}", b"x")
    objects.create("corpus/tt/d", b"xx")
    assert [(entry.name, entry.size) for entry in objects.list("corpus/t")] == [("a", 1), ("b", 1), ("c", 1)]
    assert [entry.name for entry in objects.list("corpus/t", "corpus/t/a")] == ["b", "c"]
    # The start need not be the name of an object.
    assert [entry.name for entry in objects.list("corpus/t", "corpus/t/bb")] == ["c"]
    assert objects.list("nothing") == []


def test_what_is_too_large_is_refused_and_named(objects: Objects) -> None:
    objects.create("corpus/a/1", b"0123456789")
    assert objects.read("corpus/a/1", 9) is None
    assert objects.refused.named == {"corpus/a/1": "larger than 9 bytes"}
    assert objects.read("corpus/a/1", 9) is None
    assert objects.refused.counts == {"larger than 9 bytes": 1}


def test_the_store_tells_its_time(objects: Objects) -> None:
    first = objects.replace("hosts/a", b"1")
    assert objects.replace("hosts/a", b"2") >= first > 1_600_000_000
    assert objects.read("hosts/a", 10) == b"2"


def test_names_that_could_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    objects = open_store(str(tmp_path / "store"))
    objects.create("corpus/t/good", b"x")
    for name in (".hidden", "with space", "-r"):
        (tmp_path / "store" / "corpus" / "t" / name).write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_bytes(b"x")
    (tmp_path / "store" / "corpus" / "t" / "link").symlink_to(tmp_path / "elsewhere")
    assert [entry.name for entry in objects.list("corpus/t")] == ["good"]
    assert objects.refused.counts == {"no plain name": 3, "a link out of the store": 1}


@pytest.mark.parametrize(
    ("address", "words", "hint"),
    [
        ("s3://key:secret@bucket/x", "more than s3://", "AWS_SECRET_ACCESS_KEY"),
        ("s3://bucket/x?secret_access_key=abc", "more than s3://", "AWS_SECRET_ACCESS_KEY"),
        ("s3://bucket/../x", "no prefix", "letters"),
        ("https://bucket/x", "no store", "s3://BUCKET/PREFIX"),
        ("s3:bucket", "no store", "s3://BUCKET/PREFIX"),
        ("s3://", "no store", "s3://BUCKET/PREFIX"),
        ("/proc/nothing/here", "cannot use the folder", "another --store"),
    ],
)
def test_addresses_that_are_none(address: str, words: str, hint: str) -> None:
    with pytest.raises(HarnessError, match=words) as raised:
        open_store(address)
    assert hint in raised.value.hint
    assert "secret@" not in str(raised.value)
    assert "abc" not in str(raised.value)


def test_a_server_that_does_not_answer_is_unreachable(s3: S3Server) -> None:
    objects = open_store("s3://fuzz/one")
    objects.create("a", b"1")
    s3.kill()
    with pytest.raises(Unreachable, match="no answer") as raised:
        objects.create("b", b"1")
    assert "AWS_ENDPOINT_URL" in raised.value.hint
    assert s3.secret not in str(raised.value)
    s3.start()
    assert objects.create("b", b"1")
    assert objects.read("a", 10) == b"1"


def test_a_missing_bucket_wrong_credentials_and_a_read_only_folder_say_what_to_do(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = open_store("s3://nowhere/one")
    for use in (lambda: missing.create("a", b"1"), lambda: missing.list("a")):
        with pytest.raises(HarnessError) as raised:
            use()
        assert not isinstance(raised.value, Unreachable)
        assert "make the bucket" in raised.value.hint
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    for use in (lambda: open_store("s3://fuzz/one").create("a", b"1"), lambda: open_store("s3://fuzz/one").list("a")):
        with pytest.raises(HarnessError) as raised:
            use()
        assert not isinstance(raised.value, Unreachable)
        assert "AWS_SECRET_ACCESS_KEY" in raised.value.hint
        assert "another-secret" not in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said_so(tmp_path: Path) -> None:
    objects = open_store(str(tmp_path / "store"))
    (tmp_path / "store").chmod(0o500)
    with pytest.raises(HarnessError, match="cannot write"):
        objects.create("a", b"1")
