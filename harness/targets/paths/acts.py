"""The jobs of the other process: each act as steps on the paths of a world."""

from __future__ import annotations

import os
from typing import Any

from harness.targets.paths.program import FAILING, FAULTS, FILES, Act, Scene
from harness.targets.paths.world import World


def job(scene: Scene, world: World) -> dict[str, Any]:
    """The job for one call (:meth:`harness.targets.paths.other_process.OtherProcess.during`)."""
    found: dict[str, Any] = {"root": world.root, "pipe": world.pipe}
    if scene.thing == "fed-fifo" and scene.reads:
        found["feed"] = FILES[scene.content].hex()
    act = scene.act
    if act is None:
        return found
    if act.name == "to-fifo":
        found["pipe"] = world.path
    found["point"] = act.point
    if act.name in FAULTS:
        return {**found, "fault": FAULTS[act.name], "only": FAILING[act.name]}
    return {**found, "act": steps(act, world)}


def steps(act: Act, world: World) -> list[list[Any]]:
    """The steps of an act that is no failure of a call."""
    path, raw = world.path, FILES[act.content].hex()
    new = f"{world.root}/new"
    match act.name:
        case "replace":
            return [["put", new, raw], ["rename", new, path]]
        case "unlink":
            return [["remove", path]]
        case "away":
            return [["rename", path, f"{world.root}/away"]]
        case "to-symlink":
            return [["put", new, raw], ["remove", path], ["symlink", path, new]]
        case "to-directory":
            return [["remove", path], ["mkdir", path]]
        case "to-fifo":
            return [["remove", path], ["mkfifo", path]]
        case "forbid":
            return [["chmod", path, 0]]
        case "forbid-folder":
            return [["chmod", world.base, 0]]
        case "sweep":
            return [["sweep", world.base, [os.path.basename(path), os.path.basename(world.other)]]]
        case "overwrite":
            return [["overwrite", path, raw]]
        case "append":
            return [["append", path]]
        case _:
            return [["cut", path]]
