"""A clone of this repository, as it stands in the working tree, with the builds of the parser that are there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.parsers.registry import Parser
from tests import s3_server
from tests.ci.playing import ROOT, Stage, git


@pytest.fixture
def stage(tmp_path: Path, sancov_parser: Parser, wheel_parser: Parser) -> Stage:
    home = tmp_path / "harness"
    git(tmp_path, "clone", "-q", "--shared", str(ROOT), str(home))
    # What is not committed yet is played too.
    listed = git(ROOT, "diff", "--name-only", "-z", "HEAD") + git(
        ROOT, "ls-files", "-z", "--others", "--exclude-standard"
    )
    for name in filter(None, set(listed.split("\0"))):
        source, target = ROOT / name, home / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        else:
            target.unlink(missing_ok=True)
    found = Stage(tmp_path, home)
    found.have(sancov_parser, wheel_parser)
    # Its dependencies need not be either.
    (home / "build/cache").mkdir()
    (ROOT / "build/cache/target").mkdir(parents=True, exist_ok=True)
    for name in ("target", "lock", "sdists"):
        (home / "build/cache" / name).symlink_to(ROOT / "build/cache" / name)
    return found


@pytest.fixture
def checkout(stage: Stage, sancov_parser: Parser) -> Path:
    """The parser's source as a repository with one commit, where the workflow checks it out."""
    folder = stage.workspace / "parser"
    shutil.copytree(sancov_parser.source, folder)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "as released")
    return folder


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[s3_server.S3Server]:
    """A server whose address and credentials nobody knows but the test."""
    with s3_server.running(tmp_path / "s3") as server:
        yield server
