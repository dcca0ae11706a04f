"""The shards of a checkpoint against its index, and against each other, by the headers alone."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping

from harness.checkpoint import problems
from harness.checkpoint.group import Checkpoint, is_shard
from harness.checkpoint.index import Index
from harness.checkpoint.problems import Kind, Problem, names
from harness.checkpoint.reading import Reading
from harness.format.header import Tensor

Readings = Mapping[str, Reading]
"""Readings of files by path."""


def check(checkpoint: Checkpoint, readings: Readings) -> list[Problem]:
    """The problems of the checkpoint as a whole. A file that could not be read is not compared."""
    if checkpoint.index is not None:
        return _against_index(checkpoint, checkpoint.index, readings)
    if checkpoint.ranks or not checkpoint.numbers or any(_has_parts(readings[path]) for path in checkpoint.files):
        return []
    found = [Problem(problems.NO_INDEX, checkpoint.files[0], f"{checkpoint.name} has no index"), *_gaps(checkpoint)]
    return found + _doubled(checkpoint.files[0], {}, _held(readings, checkpoint.files))


def tensors(checkpoint: Checkpoint, readings: Readings) -> dict[str, Tensor]:
    """All tensors of the checkpoint by name."""
    return {
        tensor.name: tensor
        for path in checkpoint.files
        if (reading := readings.get(path)) is not None and reading.header is not None
        for tensor in reading.header.tensors
    }


def partial(checkpoint: Checkpoint, readings: Readings) -> bool:
    """Whether tensors may be in files that are not there or were not read. An index that could be read has their names."""
    if checkpoint.mapped:
        return False
    if any((reading := readings.get(path)) is None or reading.header is None for path in checkpoint.files):
        return True
    if checkpoint.numbers:
        return bool(_gaps(checkpoint))
    return any(is_shard(path) for path in checkpoint.files)


def _gaps(checkpoint: Checkpoint) -> list[Problem]:
    """Missing numbers. Some models count from 0, to one less than the total or to the total."""
    there = set(checkpoint.numbers)
    first = 0 if 0 in there else 1
    last = max(checkpoint.total - 1 if first == 0 else checkpoint.total, *there)
    # The total is a number in a name: it may be any.
    count = last + 1 - first - len(there)
    if count <= 0:
        return []
    missing: list[str] = []
    for number in range(first, last + 1):
        if number not in there:
            missing.append(f"{number:05}")
            if len(missing) == 4:
                break
    shown = ", ".join(missing[:3]) + (f" and {count - 3} more" if count > 3 else "")
    what = f"of {checkpoint.name}, {count} {'files are' if count > 1 else 'file is'} missing: {shown}"
    return [Problem(problems.SHARD_GAP, checkpoint.files[0], what)]


def _against_index(checkpoint: Checkpoint, index: Index, readings: Readings) -> list[Problem]:
    found = list(index.problems)
    if not index.sound:
        return found + _gaps(checkpoint) if checkpoint.numbers else found
    missing = [path for path in checkpoint.files if not os.path.lexists(path)]
    if checkpoint.single and len(missing) == len(checkpoint.files):
        single = os.path.basename(checkpoint.single)
        what = f"none of the {len(missing)} files of the index is there, but {single!r} is"
        return [*found, Problem(problems.INDEX_STALE, index.path, what)]
    if checkpoint.single:
        single = os.path.basename(checkpoint.single)
        found.append(Problem(problems.TWO, index.path, f"{single!r} lies beside the index, which does not name it"))
    if missing:
        listed = names([os.path.basename(path) for path in missing])
        what = f"{len(missing)} of {len(checkpoint.files)} files are not there: {listed}"
        found.append(Problem(problems.SHARD_MISSING, index.path, what))
    # A broken index may mean them.
    for path in checkpoint.spare if not index.problems else ():
        what = f"the index does not name {_base(path)}"
        found.append(Problem(problems.SHARD_UNNAMED, path, what))
    return found + _names(checkpoint, index, readings)


def _held(readings: Readings, paths: list[str]) -> dict[str, list[str]]:
    """The paths of the files that have each name."""
    held: dict[str, list[str]] = {}
    for path in paths:
        reading = readings.get(path)
        for tensor in reading.header.tensors if reading is not None and reading.header is not None else ():
            held.setdefault(tensor.name, []).append(path)
    return held


def _names(checkpoint: Checkpoint, index: Index, readings: Readings) -> list[Problem]:
    """The names in the index against those in the shards, and the sum of their sizes."""
    folder = os.path.dirname(index.path)
    wanted = {name: os.path.join(folder, file) for name, file in index.weights.items()}
    held = _held(readings, checkpoint.files)
    unread = {path for path in checkpoint.files if (one := readings.get(path)) is None or one.header is None}
    sorted_out: dict[tuple[Kind, str, str], list[str]] = {}
    for name, path in wanted.items():
        shards = held.get(name, [])
        if path in unread or path in shards:
            continue
        if shards:
            key = problems.NAME_ELSEWHERE, path, shards[0]
        else:
            key = problems.NAME_MISSING, path, ""
        sorted_out.setdefault(key, []).append(name)
    for name, shards in held.items():
        # A broken index was reported for the names that it cannot map.
        if name not in wanted and not index.problems:
            sorted_out.setdefault((problems.NAME_UNMAPPED, shards[0], ""), []).append(name)
    found = [_of_names(index.path, key, listed) for key, listed in sorted_out.items()]
    found += _doubled(index.path, wanted, held)
    comparable = not unread and not index.problems and not any(key[0] is problems.NAME_MISSING for key in sorted_out)
    if comparable and index.total_size is not None:
        found += _total(index.path, index.total_size, wanted, [readings[path] for path in checkpoint.files])
    return found


def _base(path: str) -> str:
    """The name of a file, quoted."""
    return names([os.path.basename(path)])


def _of_names(path: str, key: tuple[Kind, str, str], listed: list[str]) -> Problem:
    kind, shard, other = key
    here = _base(shard)
    if kind is problems.NAME_ELSEWHERE:
        what = f"the index gives {names(listed)} to {here}, but {_base(other)} has it"
    elif kind is problems.NAME_MISSING:
        what = f"the index gives {names(listed)} to {here}, and no shard has it"
    else:
        what = f"{here} has {names(listed)}, which the index does not name"
    return Problem(kind, path, what)


def _doubled(path: str, wanted: Mapping[str, str], held: dict[str, list[str]]) -> list[Problem]:
    by_shards: dict[tuple[str, ...], list[str]] = {}
    for name, shards in held.items():
        if len(shards) > 1:
            by_shards.setdefault(tuple(shards), []).append(name)
    found = []
    for paths, listed in by_shards.items():
        files = " and ".join(_base(shard) for shard in paths[:3])
        meant = {wanted[name] for name in listed if name in wanted}
        index = f"; the index means {_base(meant.pop())}" if len(meant) == 1 else ""
        found.append(Problem(problems.NAME_TWICE, path, f"{names(listed)} is in {files}{index}"))
    return found


def _total(path: str, total: float, wanted: Mapping[str, str], shards: list[Reading]) -> list[Problem]:
    """The size that the index states, against the sizes that writers count.

    huggingface_hub and torch count the bytes of the tensors. Releases of transformers before 4.40 count a BOOL as one bit. Some
    tools count the files. Tensors that the index does not name may count.
    """
    sums: defaultdict[str, float] = defaultdict(float, files=sum(shard.size for shard in shards))
    for shard in shards:
        for tensor in shard.header.tensors if shard.header is not None else ():
            size = tensor.end - tensor.begin
            bits = size / 8 if tensor.dtype == "BOOL" else size
            sums["held"] += size
            sums["held, with bits"] += bits
            if wanted.get(tensor.name) == shard.path:
                sums["named"] += size
                sums["named, with bits"] += bits
    if any(abs(total - one) < 1 for one in sums.values()):
        return []
    what = f"total_size is {total:,}, but the tensors have {sums['named']:,.0f} bytes"
    return [Problem(problems.TOTAL_SIZE, path, what)]


def _has_parts(reading: Reading) -> bool:
    """Whether the file holds one rank's parts of tensors, as torch.distributed.checkpoint marks it in the metadata."""
    return reading.header is not None and "DCP_SHARDING_INFO" in (reading.header.metadata or {})
