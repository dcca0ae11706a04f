"""Builds of the parser in a store."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.parsers import parcel, registry
from harness.parsers.registry import Parser
from harness.store.objects import Objects, open_store

pytest.importorskip("obstore", reason="the extra cluster brings it")


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without builds."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "elsewhere"))
    return tmp_path / "elsewhere" / "build" / "parsers"


def test_a_host_without_the_build_gets_it_from_the_store(
    objects: Objects, sancov_parser: Parser, elsewhere: Path
) -> None:
    parcel.offer(objects, sancov_parser)
    puts = objects.requests["put"]
    parcel.offer(objects, sancov_parser)
    assert objects.requests["put"] == puts
    got = parcel.obtain(objects, sancov_parser.content, "0.8.0")
    assert got.content == sancov_parser.content
    assert got.root.is_relative_to(elsewhere)
    assert registry.find(got.name).content == sancov_parser.content
    # Then it is there.
    shutil.rmtree(objects.address)
    assert parcel.obtain(objects, sancov_parser.content).root == got.root


def test_a_build_here_is_taken_whatever_its_name(objects: Objects, sancov_parser: Parser) -> None:
    assert parcel.obtain(objects, sancov_parser.content, "another").content == sancov_parser.content


def test_a_build_with_another_content_is_refused_and_leaves_nothing(
    objects: Objects, sancov_parser: Parser, elsewhere: Path
) -> None:
    parcel.offer(objects, sancov_parser)
    packed = objects.read(f"parsers/{sancov_parser.content}.tar.gz", 1 << 30)
    assert packed is not None
    objects.create(f"parsers/{'ab' * 32}.tar.gz", packed)
    objects.create(f"parsers/{'cd' * 32}.tar.gz", b"no archive")
    for content, words in (
        ("ab" * 32, "has another content"),
        ("cd" * 32, "cannot be unpacked"),
        ("ef" * 32, "no parser"),
    ):
        with pytest.raises(HarnessError, match=words):
            parcel.obtain(objects, content)
    assert list(elsewhere.glob("[a-z0-9]*")) == []
    assert list((elsewhere / ".builds").iterdir()) == []


def test_names_that_lead_elsewhere_are_not_unpacked(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("../evil", "/evil", "site/../../evil", "other", "site/good.py"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"code"))
        link = tarfile.TarInfo("site/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    (tmp_path / "out").mkdir()
    parcel._unpack(packed.getvalue(), tmp_path / "out")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        "out/site/good.py"
    ]
