"""Checkpoints that torch.distributed writes with its storage writer for safetensors files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.bench.checkpoints.layout import layout
from harness.bench.checkpoints.transformed import language


def _save(folder: Path, files: int = 1, **settings: Any) -> None:
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    state = language().state_dict()
    places = {name: at % files + 1 for at, name in enumerate(state)}
    writer = HuggingFaceStorageWriter(str(folder), fqn_to_index_mapping=places, **settings)
    save(state, storage_writer=writer, no_dist=True)


@layout("torch.distributed", "one-file")
def _one(folder: Path) -> None:
    _save(folder)


@layout("torch.distributed", "three-files")
def _three(folder: Path) -> None:
    _save(folder, 3)


@layout("torch.distributed", "by-rank")
def _by_rank(folder: Path) -> None:
    _save(folder, 3, save_distributed=True)


@layout("torch.distributed", "consolidated")
def _consolidated(folder: Path) -> None:
    _save(folder, 3, save_distributed=True, enable_consolidation=True)


@layout("torch.distributed", "two-ranks")
def _two_ranks(folder: Path) -> None:
    """Two processes that each hold half of each tensor. Each half has the name of the whole."""
    _ranks(folder)


@layout("torch.distributed", "two-ranks-consolidated")
def _two_ranks_consolidated(folder: Path) -> None:
    _ranks(folder, "consolidate")


def _ranks(folder: Path, *words: str) -> None:
    meeting = folder.with_name(f"{folder.name}.meeting")
    meeting.unlink(missing_ok=True)
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-m", "harness.bench.checkpoints.rank", str(folder), str(meeting)]
    ranks = [subprocess.Popen([*command, str(rank), *words], env=environment) for rank in range(2)]
    ends = [rank.wait(timeout=120) for rank in ranks]
    meeting.unlink(missing_ok=True)
    if any(ends):
        raise RuntimeError(f"the ranks ended with {ends}")
