"""Writes checkpoints: ``python -m harness.bench.checkpoints.write FOLDER NAME...``, one line of JSON for each.

It runs in a process of its own, which has the libraries on its path; the harness needs none of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
import traceback
from pathlib import Path

from harness.bench.checkpoints.layout import every

#: Models are made from configurations; nothing is looked up.
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "CUDA_VISIBLE_DEVICES": "",
}


def main(root: str, *names: str) -> int:
    """Write the named checkpoints below ``root``; a failure of one is its line, and the others are still written."""
    os.environ.update(_QUIET)
    layouts = every()
    for name in names or layouts:
        began, folder, error = time.process_time(), Path(root) / name, ""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                _seed()
                layouts[name].write(folder)
        except Exception as problem:
            traceback.print_exc()
            error = f"{type(problem).__name__}: {problem}"
        taken = round(time.process_time() - began, 2)
        print(json.dumps({"name": name, "error": error, "seconds": taken}), flush=True)
    return 0


def _seed() -> None:
    import torch

    torch.manual_seed(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
