"""One of two ranks that save tensors they share: ``python -m harness.bench.checkpoints.rank FOLDER MEETING RANK [consolidate]``."""

from __future__ import annotations

import sys


def main(folder: str, meeting: str, rank: str, *words: str) -> None:
    """Save the half of each tensor that ``rank`` holds. The ranks find each other by the file ``meeting``."""
    import torch
    import torch.distributed as dist
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=int(rank), world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    state = {
        f"layers.{at}.weight": distribute_tensor(torch.full((4, 6), float(at)), mesh, [Shard(at % 2)])
        for at in range(4)
    }
    writer = HuggingFaceStorageWriter(
        folder,
        fqn_to_index_mapping={name: at % 2 + 1 for at, name in enumerate(state)},
        save_distributed=True,
        enable_consolidation="consolidate" in words,
    )
    save(state, storage_writer=writer)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
