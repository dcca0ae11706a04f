"""The language and the worlds, by themselves: nothing here runs the parser."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given

from harness.programs.strategies import programs
from harness.targets.paths.program import (
    ACTS,
    FILES,
    NAMES,
    READINGS,
    SPARSE,
    SPELLINGS,
    THINGS,
    VOCABULARY,
    Scene,
    decode,
    explain,
)
from harness.targets.paths.target import Paths
from harness.targets.paths.world import World, as_user, plain_read, plain_write

step = VOCABULARY.step
KINDS = {
    "absent": "absent", "dangling": "link", "loop": "link", "symlink": "link", "symlink-directory": "link", "proc": "link",
    "mem": "link", "symlink-null": "link", "symlink-fifo": "link", "directory": "directory", "fifo": "fifo", "fed-fifo": "fifo",
    "socket": "socket", "null": "device", "zero": "device", "full": "device", "through": "absent",
}  # fmt: skip


def test_an_act_is_for_the_next_call_alone_and_a_scene_for_all_that_follow() -> None:
    scenes = decode(VOCABULARY.encode([step("thing", 2), step("act", 0, 3, 1), step("open"), step("save_file", 0, 2)]))
    assert [scene.thing for scene in scenes] == ["empty", "empty"]
    assert [scene.act is None for scene in scenes] == [False, True]
    assert scenes[0].act == ("replace", 3, 1)


def test_only_a_cut_below_a_mapping_is_a_hazard() -> None:
    cut = ACTS.index("truncate")
    for call, hazard in ((step("open"), "SIGBUS/open"), (step("open", 1), ""), (step("save_file"), "")):
        assert Paths().hazard(VOCABULARY.encode([step("act", cut, 1), call])) == hazard
    data = VOCABULARY.encode([step("open"), step("act", cut, 1), step("load_file")])
    assert Paths().unforeseen(data, 1, "SIGBUS")
    assert not Paths().unforeseen(data, 2, "SIGBUS")


@given(programs(VOCABULARY, max_steps=10))
def test_any_program_decodes_and_is_told_in_a_line_for_each_call(data: bytes) -> None:
    assert explain(decode(data)).count("\n") == len(decode(data)) == len(Paths().call_names(data))


@pytest.mark.parametrize("thing", THINGS)
def test_a_thing_is_the_kind_of_file_that_its_name_says_and_all_of_it_goes(tmp_path: Path, thing: str) -> None:
    if KINDS.get(thing) == "device" and os.geteuid():
        pytest.skip("no root, no device nodes")
    world = World(str(tmp_path / "w"), Scene("open", thing=thing, content=2))
    look, other = world.look()
    assert look.kind == KINDS.get(thing, "file")
    wanted = {"empty": b"", "cut": FILES[2][: len(FILES[2]) // 2], "sparse": SPARSE}.get(thing, FILES[2])
    if thing in ("file", "hard-link", "symlink", "empty", "cut", "sparse"):
        assert look.content == wanted == plain_read(world.path).content
    if thing == "sparse":
        assert os.stat(world.path).st_blocks * 512 < len(SPARSE)
    if thing == "hard-link":
        assert other.inode == look.inode
    world.remove()
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_as_long_as_it_says(tmp_path: Path, name: str) -> None:
    world = World(str(tmp_path / "w"), Scene("open", name=name))
    found = plain_read(world.path)
    assert (found.content is None) == name.startswith("long-")
    if name == "longest-path":
        assert len(os.fsencode(world.path)) == 4095
    world.remove()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_modes_count_without_root_s_rights(tmp_path: Path) -> None:
    for folder in tmp_path, *tmp_path.parents[:2]:
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    world = World(str(tmp_path / "w"), Scene("open", mode=0o600))
    with as_user(dropped=True):
        assert os.geteuid() == 65534
        assert plain_read(world.path).error == plain_write(world.path, b"").error == "PermissionError"
    assert os.geteuid() == 0
    assert plain_read(world.path).content == FILES[0]


def test_every_reading_is_of_a_valid_file() -> None:
    assert len(READINGS) == len(FILES) + 1
    assert len(SPELLINGS) == len(set(SPELLINGS))
