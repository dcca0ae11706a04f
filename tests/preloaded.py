"""Runs scripts in forks of one process that has imported numpy and torch. A script that needs torch takes a tenth of the time."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.waiting import LONG

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["numpy", "torch"])


def run(script: Path, libraries: Sequence[Path], environment: Mapping[str, str], folder: Path) -> tuple[int, str]:
    """The exit status and the output of ``script``, run in ``folder`` with ``libraries`` first on the path of modules.

    The output is also a file of ``folder``.
    """
    output = folder / "output"
    child = _FORKS.Process(
        target=_main, args=(str(script), [*map(str, libraries)], dict(environment), str(folder), str(output))
    )
    child.start()
    child.join(LONG)
    if child.exitcode is None:
        child.kill()
        child.join()
    assert child.exitcode is not None
    return child.exitcode, output.read_text(errors="replace")


def _main(script: str, libraries: list[str], environment: dict[str, str], folder: str, output: str) -> None:
    """Be ``python script``: with its arguments, its hook of exceptions, and the calls at its exit."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    # Some builds of Python have a prefix with "..".
    prefixes = tuple(map(os.path.realpath, (sys.base_prefix, sys.prefix)))
    installed = [path for path in sys.path if "site-packages" in path or os.path.realpath(path).startswith(prefixes)]
    sys.path[:] = [os.path.dirname(script), *libraries, *installed]
    sys.argv[:] = [script]
    status = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        try:
            sys.excepthook(*sys.exc_info())
            status = 1
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
