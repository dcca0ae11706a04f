"""Ways to break what joins the files of a checkpoint: indexes, shards, links, quantised weights."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from harness.bench.checkpoints import parts
from harness.bench.checkpoints.breakages import Expected, an_index, breakage, lfs_pointer
from harness.bench.checkpoints.parts import Index


def _lost(folder: Path, draw: random.Random, lose: Callable[[Path], object]) -> Expected | None:
    """Let ``lose`` take a file that an index names away."""
    index = an_index(folder, draw)
    if index is None:
        return None
    path = draw.choice(index.shards())
    lose(path)
    return Expected((path,))


@breakage("a file that the index names is missing", "shard-missing")
def _delete_shard(folder: Path, draw: random.Random) -> Expected | None:
    return _lost(folder, draw, Path.unlink)


@breakage("a file that the index names is missing", "shard-missing")
def _rename_shard(folder: Path, draw: random.Random) -> Expected | None:
    return _lost(folder, draw, lambda path: path.rename(path.with_name(f"{path.stem} (1){path.suffix}")))


@breakage("tensors lie in another file than the index says", "name-elsewhere")
def _swap_shards(folder: Path, draw: random.Random) -> Expected | None:
    index = an_index(folder, draw, shards=2)
    if index is None:
        return None
    first, second = draw.sample(index.shards(), 2)
    contents = first.read_bytes(), second.read_bytes()
    parts.write(first, contents[1])
    parts.write(second, contents[0])
    moved = tuple(name for name in index.places if index.shard(name) in {first, second})
    return Expected((first, second), moved)


@breakage("a file has a tensor that the index does not name", "name-unmapped")
def _drop_name(folder: Path, draw: random.Random) -> Expected | None:
    index = an_index(folder, draw)
    if index is None:
        return None
    # A file whose last name goes is a file that the index does not name at all: another fault.
    kept = list(index.places.values())
    names = [name for name, place in index.places.items() if kept.count(place) > 1]
    if not names:
        return None
    name = draw.choice(names)
    index.write({other: place for other, place in index.places.items() if other != name})
    return Expected((index.shard(name), index.path), (name,))


@breakage("the index names a tensor that no file has", "name-missing")
def _add_name(folder: Path, draw: random.Random) -> Expected | None:
    index = an_index(folder, draw)
    if index is None:
        return None
    place = draw.choice(sorted(set(index.places.values())))
    index.write(index.places | {"model.layers.99.weight": place})
    return Expected((index.path, index.path.parent / place), ("model.layers.99.weight",))


@breakage("two files have the same tensor", "name-doubled")
def _double_name(folder: Path, draw: random.Random) -> Expected | None:
    index = an_index(folder, draw, shards=2)
    if index is None:
        return None
    source, other = draw.sample(index.shards(), 2)
    tensor, content = draw.choice(parts.contents(source))
    parts.repack(other, [*parts.contents(other), (tensor, bytes(len(content)))])
    return Expected((source, other), (tensor.name,))


@breakage("total_size of the index is wrong", "total-size")
def _total_size(folder: Path, draw: random.Random) -> Expected | None:
    index = an_index(folder, draw)
    if index is None or "total_size" not in index.metadata:
        return None
    index.write(index.places, total_size=index.metadata["total_size"] + 4096)
    return Expected((index.path,))


@breakage("a stale index lies beside a single file", "index-stale")
def _stale_index(folder: Path, draw: random.Random) -> Expected | None:
    """A new single file was stored over a sharded one, or an index came along with a single file."""
    found = [path for path in parts.files(folder) if path not in _sharded(folder) and path.stem in _STANDARD]
    if not found:
        return None
    path = draw.choice(found)
    places = {
        tensor.name: f"{path.stem}-0000{at % 2 + 1}-of-00002.safetensors"
        for at, tensor in enumerate(parts.header(path).tensors)
    }
    index = Index(path.with_name(f"{path.name}.index.json"), {"total_size": 8}, places)
    index.path.touch()
    index.write(places)
    return Expected((index.path,))


@breakage("a stale index lies beside a single file", "index-stale")
def _single_over_shards(folder: Path, draw: random.Random) -> Expected | None:
    """The shards were merged into a single file, and only their index stayed."""
    index = an_index(folder, draw)
    if index is None or not index.path.name.endswith(".safetensors.index.json"):
        return None
    merged = [part for path in index.shards() for part in parts.contents(path)]
    first = index.shards()[0]
    parts.repack(first, merged)
    first.rename(index.path.with_name(index.path.name.removesuffix(".index.json")))
    for path in index.shards():
        path.unlink(missing_ok=True)
    return Expected((index.path,))


#: Names that loaders look for, alone or with an index.
_STANDARD = ("model", "diffusion_pytorch_model")


def _sharded(folder: Path) -> set[Path]:
    return {path for index in parts.indexes(folder) for path in index.shards()}


@breakage("the index names a file outside its folder", "index-path")
def _leave_folder(folder: Path, draw: random.Random) -> Expected | None:
    index = an_index(folder, draw)
    if index is None:
        return None
    name = draw.choice(sorted(index.places))
    index.write(index.places | {name: f"../{index.places[name]}"})
    return Expected((index.path,))


@breakage("the index is cut short", "index-not-json")
def _truncate_index(folder: Path, draw: random.Random) -> Expected | None:
    index = an_index(folder, draw)
    if index is None:
        return None
    raw = index.path.read_bytes()
    parts.write(index.path, raw[: len(raw) // 2])
    return Expected((index.path,))


@breakage("a Git LFS pointer lies in place of the index", "index-not-json", "LFS")
def _pointer_for_index(folder: Path, draw: random.Random) -> Expected | None:
    index = an_index(folder, draw)
    if index is None:
        return None
    parts.write(index.path, lfs_pointer(index.path.read_bytes()))
    return Expected((index.path,))


@breakage("the shards have no index", "index-missing")
def _delete_index(folder: Path, draw: random.Random) -> Expected | None:
    index = an_index(folder, draw, shards=2)
    if index is None:
        return None
    # The reader of torch.distributed needs no index: its files say where each piece belongs.
    if any("DCP_VERSION" in (parts.header(path).metadata or {}) for path in index.shards()):
        return None
    index.path.unlink()
    return Expected((*index.shards(), index.path))


@breakage("a link leads nowhere", "broken-link")
def _dangling_link(folder: Path, draw: random.Random) -> Expected | None:
    links = [path for path in parts.files(folder) if path.is_symlink()]
    if not links:
        return None
    path = draw.choice(links)
    path.resolve().unlink()
    return Expected((path,))


@breakage("a quantised tensor lacks its scales", "quantisation-member")
def _drop_scales(folder: Path, draw: random.Random) -> Expected | None:
    scales = [
        (path, tensor)
        for path in parts.files(folder)
        for tensor in parts.header(path).tensors
        if tensor.name.endswith(_SCALES) and len(parts.header(path).tensors) > 1
    ]
    if not scales:
        return None
    path, gone = draw.choice(scales)
    parts.repack(path, [pair for pair in parts.contents(path) if pair[0].name != gone.name])
    indexes = [index for index in parts.indexes(folder) if index.path.parent == path.parent]
    for index in indexes:
        if index.places.get(gone.name) == path.name:
            places = {name: place for name, place in index.places.items() if name != gone.name}
            index.write(places, total_size=index.metadata.get("total_size", 0) - (gone.end - gone.begin))
    suffix = next(suffix for suffix in _SCALES if gone.name.endswith(suffix))
    layer = gone.name.removesuffix(suffix.removeprefix("proj"))
    # Which shard lost it, no diagnosis can know: a layer may be spread over several.
    return Expected((path, *(index.path for index in indexes)), (layer,))


#: Names of scales in the layouts of gptq, awq, compressed-tensors, fp8, bitsandbytes, quanto and torchao.
_SCALES = (
    "proj.scales",
    ".weight_scale",
    ".weight_scale_inv",
    ".weight.absmax",
    ".SCB",
    ".weight._scale",
    "._weight_scale",
)
