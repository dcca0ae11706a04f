"""Groups the safetensors files of folders into checkpoints, by their names and by the indexes beside them.

A checkpoint is a single file, or shards with an index, or shards without one. Names are those that transformers, diffusers,
huggingface_hub and torch write: ``model.safetensors``, ``model.fp16.safetensors``, ``model-00001-of-00002.safetensors``,
``model.fp16-00001-of-00002.safetensors``, and an index ``model.safetensors.index.json``. Some models count from 0.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from harness.checkpoint.folder import INDEX
from harness.checkpoint.index import SUFFIX, Index, read_index

_SHARD = re.compile(
    r"(?P<stem>.+?)[-_](?P<number>\d+)-of-(?P<total>\d+)(?:\.(?P<variant>[^.]+))?\.safetensors", re.DOTALL
)
#: torch.distributed.checkpoint writes a file per rank, each with its part of every tensor, and no index.
_RANK = re.compile(r"shard-\d+-(?P<stem>.+)", re.DOTALL)


@dataclass(slots=True)
class Checkpoint:
    """Files that belong together. ``name`` is the path of the index or of the single file, or a pattern of the shards.

    ``files`` are paths of safetensors files as the index or the folder names them; one that an index names may be missing.
    ``single`` is a file of the same stem beside the index that the index does not name, else "". ``spare`` are shards of the same stem
    that it does not name. ``numbers`` are the numbers of shards that no sound index names, of ``total``. They are left out where
    the totals differ. With ``ranks`` each file has parts of tensors. ``alone``: a file that was named by itself, of which nothing but
    the file is judged.
    """

    name: str
    files: list[str]
    index: Index | None = None
    single: str = ""
    spare: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    total: int = 0
    ranks: bool = False
    alone: bool = False

    @property
    def mapped(self) -> bool:
        """Whether an index that could be read names the files."""
        return self.index is not None and self.index.sound


@dataclass(frozen=True, slots=True)
class _Name:
    """A name taken apart: shards of one checkpoint have equal ``key`` and ``total``."""

    key: str
    number: int = -1
    total: int = -1
    ranks: bool = False


def _name(name: str) -> _Name:
    shard = _SHARD.fullmatch(name)
    if shard is None:
        return _Name(name.removesuffix(SUFFIX))
    stem = shard["stem"] + (f".{shard['variant']}" if shard["variant"] else "")
    rank = _RANK.fullmatch(stem)
    total, number = int(shard["total"][-18:]), int(shard["number"][-18:])
    return _Name(rank["stem"] if rank else stem, number, total, rank is not None)


def _key_of_index(name: str) -> str:
    """The stem of an index: that of its shards and of a single file in its place."""
    match = INDEX.fullmatch(name)
    if match is None:
        return name
    return match["stem"] + (f".{match['variant']}" if match["variant"] else "")


def is_shard(path: str) -> bool:
    """Whether the name is that of one shard of several, also where a browser or a person added to it."""
    match = re.search(r"[-_]\d+-of-(\d+)", os.path.basename(path))
    return match is not None and int(match[1][-18:]) > 1


def is_index(path: str) -> bool:
    """Whether the name is that of an index."""
    return INDEX.fullmatch(os.path.basename(path)) is not None or path.endswith(".index.json")


def group(folders: dict[str, list[str]], only: str = "") -> list[Checkpoint]:
    """The checkpoints of ``folders``, or the one of the index ``only``; reads every index."""
    found: list[Checkpoint] = []
    claimed: set[str] = set()
    for folder, entries in folders.items():
        names = [name for name in entries if name.endswith(SUFFIX)]
        for entry in entries:
            path = os.path.join(folder, entry)
            if entry.endswith(".json") and only in ("", path):
                checkpoint = _by_index(read_index(path), folder, _key_of_index(entry), names)
                claimed |= {os.path.normpath(one) for one in (*checkpoint.files, *checkpoint.spare)}
                found.append(checkpoint)
    for folder, entries in folders.items() if not only else ():
        left = [
            name
            for name in entries
            if name.endswith(SUFFIX) and os.path.normpath(os.path.join(folder, name)) not in claimed
        ]
        found += _without_index(folder, left)
    return sorted(found, key=lambda checkpoint: checkpoint.name)


def _by_index(index: Index, folder: str, key: str, names: list[str]) -> Checkpoint:
    named = index.files()
    known = set(named)
    parts = {name: _name(name) for name in names if name not in known}
    # Files of ranks have no place in an index, and lie beside it where torch.distributed made both.
    same = [name for name, part in parts.items() if part.key == key and not part.ranks]
    shards = [name for name in same if parts[name].total >= 0]
    single = next((name for name in same if parts[name].total < 0), "")
    totals = {parts[name].total for name in shards}
    # Shards of two saves have no common total.
    counted = not index.sound and len(totals) == 1
    return Checkpoint(
        index.path,
        [os.path.join(folder, name) for name in (named if index.sound else shards)],
        index,
        os.path.join(folder, single) if single else "",
        [os.path.join(folder, name) for name in shards] if index.sound else [],
        [parts[name].number for name in shards] if counted else [],
        totals.pop() if counted else 0,
    )


def _without_index(folder: str, names: list[str]) -> list[Checkpoint]:
    shards: dict[tuple[str, int, bool], list[str]] = {}
    found = []
    for name in names:
        part = _name(name)
        if part.total < 0:
            found.append(Checkpoint(os.path.join(folder, name), [os.path.join(folder, name)]))
        else:
            shards.setdefault((part.key, 0 if part.ranks else part.total, part.ranks), []).append(name)
    for (_, total, ranks), held in shards.items():
        numbers = [] if ranks else [_name(name).number for name in held]
        files = [os.path.join(folder, name) for name in held]
        found.append(
            Checkpoint(os.path.join(folder, _pattern(held[0], ranks)), files, numbers=numbers, total=total, ranks=ranks)
        )
    return found


def _pattern(name: str, ranks: bool) -> str:
    """The name of a shard with a star in place of its number: it stands for all shards."""
    match = _SHARD.fullmatch(name)
    assert match is not None
    pattern = f"{name[: match.start('number')]}*{name[match.end('number') :]}"
    return re.sub(r"^shard-\d+-", "shard-*-", pattern) if ranks else pattern
