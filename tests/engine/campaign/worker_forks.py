"""Workers in forks of a process that has imported what they need: ``python -m tests.engine.campaign.worker_forks MODULE...``.

Each line of its input is a JSON list: target, executions, executions beyond the seeds, folder of a campaign. It answers with a
line each.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.engine.campaign import folder
from harness.engine.campaign.process import new_settings
from harness.engine.worker import main
from harness.engine.worker.status import FILE, WorkerStatus
from harness.findings import store
from harness.programs import guarded
from harness.targets.base import absent
from harness.targets.registry import get_target

REPOSITORY = Path(__file__).parents[3]
SEED = 4242


class Workers:
    """The process, as a test sees it. Its hashes and the fill of its memory are those of a worker. Close it."""

    def __init__(self, *modules: str) -> None:
        environment = {**os.environ, "PYTHONHASHSEED": "0", "RUST_BACKTRACE": "0", **guarded.environment()}
        environment |= {"HARNESS_HOME": str(REPOSITORY), "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-m", __name__, *modules]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=REPOSITORY
        )

    def run(self, target: str, executions: int, beyond: int, campaign: Path) -> dict[str, Any]:
        """Results of a worker: the names in its corpus, its findings by id with their inputs, and figures.

        It makes so many ``executions``; for 0 all seeds, and so many ``beyond`` them.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([target, executions, beyond, str(campaign)]), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def _answer(target: str, executions: int, beyond: int, campaign: Path) -> dict[str, Any]:
    """Run a worker in a fork."""
    seed_dirs = folder.seed_dirs(campaign, target)
    seeds, _ = folder.seeds(seed_dirs, target, own=get_target(target).seeds())
    settings = new_settings(
        target=target, parser=None, seed=SEED, campaign=campaign, seed_dirs=seed_dirs, runs=executions or seeds + beyond
    )
    settings.save(settings.memory / "settings.json")
    child = os.fork()
    if not child:
        _work(str(settings.memory / "settings.json"), settings.log)
    _, status = os.waitpid(child, 0)
    try:
        done = WorkerStatus.from_json((settings.memory / FILE).read_bytes())
        return {
            "status": os.waitstatus_to_exitcode(status),
            "corpus": sorted(os.listdir(settings.memory / "corpus")),
            "findings": {found.id: found.data().hex() for found in store.findings(campaign)},
            "features": done.semantic_keys,
            "figures": [done.executions, done.edges, done.features, done.corpus, done.accepted, done.defects],
        }
    finally:
        shutil.rmtree(settings.memory)


def _work(settings: str, log: Path) -> None:
    """Be a worker, with the descriptors, the arguments and the scratch folder of one."""
    os.environ["HARNESS_SCRATCH"] = str(Path(settings).parent)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.setsid()
    sys.argv[:] = ["worker", settings]
    try:
        main.main()
    finally:
        os._exit(1)


def _serve() -> None:
    for name in sys.argv[1:]:
        if not absent(name):
            importlib.import_module(name)
    for line in sys.stdin:
        target, executions, beyond, campaign = json.loads(line)
        print(json.dumps(_answer(target, executions, beyond, Path(campaign))), flush=True)


if __name__ == "__main__":
    _serve()
