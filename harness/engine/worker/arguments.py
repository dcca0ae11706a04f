"""The seeds of one worker and libFuzzer's command line."""

from __future__ import annotations

from harness import corpus_store
from harness.engine.worker.settings import WorkerSettings
from harness.targets.base import Target


def seeds(settings: WorkerSettings, target: Target) -> list[tuple[str, bytes]]:
    """Every seed of every folder once. They are ordered by name, so that a run repeats on any file system."""
    found: dict[str, bytes] = {}
    for folder in settings.seed_dirs:
        found.update(corpus_store.list_seeds(folder).seeds)
    return sorted((name, data) for name, data in found.items() if len(data) <= target.max_len)


def arguments(settings: WorkerSettings, target: Target, chosen: list[tuple[str, bytes]]) -> list[str]:
    """Write the ``chosen`` seeds to the worker's memory folder; returns libFuzzer's command line for them."""
    memory = settings.memory
    inputs = memory / "seeds"
    inputs.mkdir(exist_ok=True)
    corpus = memory / "corpus"
    corpus.mkdir(exist_ok=True)
    for name, data in chosen:
        (inputs / name).write_bytes(data)
    seed_list = memory / "seeds.list"
    seed_list.write_text(",".join(str(inputs / name) for name, _ in chosen))
    return [
        "worker",
        str(corpus),
        *([f"-seed_inputs=@{seed_list}"] if chosen else []),
        f"-seed={settings.seed % 2**31 or 1}",
        f"-max_len={target.max_len}",
        "-mutate_depth=1",
        "-cross_over=0",
        "-len_control=0",
        "-detect_leaks=0",
        "-handle_term=0",
        "-handle_int=0",
        # Compared values can be addresses, which differ between processes: a run of N executions must not learn them.
        *(["-use_cmp=0"] if settings.runs else []),
        "-close_fd_mask=3",
        f"-timeout={round(target.timeout_s * settings.patience)}",
        f"-rss_limit_mb={target.memory_mb}",
        f"-artifact_prefix={memory}/",
        "-reload=0",
        *settings.options,
    ]
