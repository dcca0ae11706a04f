"""Checkpoints that huggingface_hub writes, and the folders that its downloads leave."""

from __future__ import annotations

import hashlib
import os
import types
from pathlib import Path
from typing import Any

from harness.bench.checkpoints.layout import layout
from harness.bench.checkpoints.transformed import SHARD, language

_COMMIT = hashlib.sha1(b"a commit").hexdigest()


def _save(folder: Path, **settings: Any) -> None:
    from huggingface_hub import save_torch_model

    save_torch_model(language(tie_word_embeddings=True), folder, **settings)


@layout("huggingface_hub", "shared-tensors")
def _shared(folder: Path) -> None:
    _save(folder)


@layout("huggingface_hub", "shared-tensors-sharded")
def _shared_sharded(folder: Path) -> None:
    _save(folder, max_shard_size=SHARD)


@layout("huggingface_hub", "own-names-sharded")
def _own_names(folder: Path) -> None:
    _save(folder, max_shard_size=SHARD, filename_pattern="weights{suffix}.safetensors")


@layout("huggingface_hub", "state-dict")
def _state_dict(folder: Path) -> None:
    """Dtypes and shapes that models seldom have: scalars, empty tensors, bools, small floats, complex numbers."""
    import torch
    from huggingface_hub import save_torch_state_dict

    names = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
    names += ["float8_e4m3fn", "float8_e5m2", "complex64", "uint16", "uint32", "uint64"]
    state = {f"of.{name}": torch.zeros(3, 5).to(getattr(torch, name)) for name in names}
    state |= {"scalar": torch.tensor(1.0), "none": torch.zeros(0), "no.rows": torch.zeros(0, 4), "ünï": torch.ones(2)}
    save_torch_state_dict(state, folder)


@layout("huggingface_hub", "mixin")
def _mixin(folder: Path) -> None:
    from huggingface_hub import PyTorchModelHubMixin
    from torch import nn

    def build(self: Any, width: int = 8) -> None:
        nn.Module.__init__(self)
        self.layer = nn.Linear(width, width)

    kind = types.new_class("Own", (nn.Module, PyTorchModelHubMixin), {}, lambda body: body.update(__init__=build))
    kind(width=16).save_pretrained(folder)


def _cached(root: Path, files: Path) -> Path:
    """Lay ``files`` out as the cache does: blobs named by hash, and links to them. Returns the snapshot."""
    blobs, snapshot = root / "blobs", root / "snapshots" / _COMMIT
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(_COMMIT)
    for path in sorted(files.iterdir()):
        blob = blobs / hashlib.sha256(path.read_bytes()).hexdigest()
        path.rename(blob)
        (snapshot / path.name).symlink_to(os.path.relpath(blob, snapshot))
    files.rmdir()
    return snapshot


_IN_CACHE = f"models--someone--something/snapshots/{_COMMIT}"


@layout("huggingface_hub", "cache-snapshot", inside=_IN_CACHE)
def _cache(folder: Path) -> None:
    language().save_pretrained(folder / "new", max_shard_size=SHARD)
    _cached(folder / "models--someone--something", folder / "new")


@layout("huggingface_hub", "cache-whole")
def _cache_whole(folder: Path) -> None:
    _cache(folder)


@layout("huggingface_hub", "cache-single", inside=_IN_CACHE)
def _cache_single(folder: Path) -> None:
    language().save_pretrained(folder / "new")
    _cached(folder / "models--someone--something", folder / "new")


@layout("huggingface_hub", "local-dir")
def _local_dir(folder: Path) -> None:
    """As ``hf download --local-dir`` leaves it: a lock and a record for each file under .cache."""
    from huggingface_hub._local_folder import get_local_download_paths, write_download_metadata

    language().save_pretrained(folder, max_shard_size=SHARD)
    for path in sorted(folder.iterdir()):
        get_local_download_paths(folder, path.name).lock_path.touch()
        write_download_metadata(folder, path.name, _COMMIT, hashlib.sha256(path.read_bytes()).hexdigest())
