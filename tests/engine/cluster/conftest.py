from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.parsers.registry import Parser
from harness.targets import scratch
from tests.s3_server import known

from .parts import Cluster, cluster


@pytest.fixture
def parts(tmp_path: Path, sancov_parser: Parser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """An S3 server, and all else that starts on demand. Nothing of it stays in memory."""
    pytest.importorskip("distributed", reason="the extra cluster brings it")
    place = tempfile.mkdtemp(prefix="harness-cluster-", dir=scratch.root())
    monkeypatch.setenv(scratch.VARIABLE, place)
    with cluster(tmp_path) as made, known(made.s3):
        yield made
    shutil.rmtree(place)
