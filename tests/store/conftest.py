from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.store.objects import Objects, open_store
from tests import s3_server
from tests.s3_server import S3Server


@pytest.fixture(scope="session")
def common_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for the tests that leave it alive."""
    with s3_server.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3Server]:
    """A server of the test's own, which may be killed."""
    with s3_server.running(tmp_path / "s3") as server, s3_server.known(server):
        yield server


@pytest.fixture(params=["folder", "memory", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Objects]:
    """An empty store of each kind."""
    pytest.importorskip("obstore", reason="the extra cluster brings it")
    if request.param == "s3":
        with s3_server.known(request.getfixturevalue("common_s3")):
            yield open_store(f"s3://fuzz/{tmp_path.name.replace('[', '-').replace(']', '')}")
    else:
        yield open_store(str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path.name}")
