from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from harness.checkpoint import folder
from tests.checkpoint.folders import codes, file, said, sharded, verdicts


def found(root: Path, deep: bool = True) -> dict[str, list[str]]:
    held = folder.find(str(root), lambda entries: None, deep=deep).folders
    return {os.path.relpath(path, root): names for path, names in held.items()}


def test_files_and_indexes_are_found_below(tmp_path: Path):
    sharded(tmp_path / "unet")
    file(tmp_path / "vae" / "model.fp16.safetensors", "a")
    for name in ("vae/model.safetensors.index.fp16.json", "vae/model.bin.index.json", "vae/config.json"):
        (tmp_path / name).write_text("")
    file(tmp_path / ".cache" / "model.safetensors", "a")
    for name in ("._model.fp16.safetensors", "._model.safetensors.index.json"):
        (tmp_path / "vae" / name).write_text("\0\5\26\7")
    assert found(tmp_path) == {
        "unet": sorted(os.listdir(tmp_path / "unet")),
        "vae": ["model.fp16.safetensors", "model.safetensors.index.fp16.json"],
    }
    assert found(tmp_path, deep=False) == {}


def test_links_to_folders_are_followed_once_and_never_in_a_circle(tmp_path: Path):
    file(tmp_path / "shared" / "model.safetensors", "a")
    root = tmp_path / "pipeline"
    file(root / "unet" / "model.safetensors", "a")
    (root / "vae").symlink_to("../shared")
    (root / "again").symlink_to("unet")
    (root / "unet" / "up").symlink_to("..")
    (root / "self").symlink_to("self")
    held = folder.find(str(root), lambda entries: None)
    assert len(held.folders) == 2
    assert str(root / "vae") in held.folders
    assert held.circular == [str(held_by / "up") for held_by in (root / "again",)]
    assert held.problems == []


def test_progress_is_told_in_a_large_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(folder, "_STEP", 10)
    for number in range(35):
        (tmp_path / f"{number}.bin").touch()
    seen: list[int] = []
    assert folder.find(str(tmp_path), seen.append).folders == {}
    assert seen == [10, 20, 30]


def test_pipes_sockets_and_broken_links_are_told_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.safetensors")
    server = socket.socket(socket.AF_UNIX)
    server.bind("socket.safetensors")
    server.close()
    Path("device.safetensors").symlink_to("/dev/zero")
    Path("gone.safetensors").symlink_to("gone")
    Path("loop.safetensors").symlink_to("loop.safetensors")
    Path("folder.safetensors").mkdir()
    assert codes(".") == ["broken-link", "broken-link", "not-a-file", "not-a-file", "not-a-file"]


def test_control_characters_in_names_are_escaped(tmp_path: Path):
    (tmp_path / "a\x1b[31m\n.safetensors").write_bytes(b"")
    (tmp_path / os.fsdecode(b"\xff.safetensors")).write_bytes(b"")
    file(tmp_path / "b\r.safetensors", "q\x1b]0;x\x07.weight_packed")
    assert codes(tmp_path) == ["file-refused", "file-refused", "quantisation-member"]
    assert said(tmp_path).replace("\n", "").isprintable()


@pytest.mark.skipif(os.geteuid() != 0, reason="another user cannot be had")
@pytest.mark.parametrize("pattern", ["", "**/*.safetensors", "*/*.safetensors"])
def test_a_folder_without_permission_is_told_and_the_rest_is_judged(tmp_path: Path, pattern: str):
    file(tmp_path / "model.safetensors", "a")
    file(tmp_path / "closed" / "model.safetensors", "a")
    file(tmp_path / "other.safetensors", "a").chmod(0)
    (tmp_path / "closed").chmod(0)
    child = os.fork()
    if child == 0:
        try:
            for above in (tmp_path, *tmp_path.parents[:-1]):
                above.chmod(above.stat().st_mode | 0o111)
            tmp_path.chmod(0o755)
            os.setuid(65534)
            told = [(one.ok, one.unread) for one in verdicts(tmp_path / pattern)]
            here = [] if pattern.startswith("*/") else [(True, False), (False, True)]
            os._exit(0 if told == [(False, True), *here] else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
