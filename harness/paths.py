"""Where things lie: the project being worked in, and what the installed package brings along.

The project is the current folder (in a checkout, the repository), unless ``HARNESS_HOME`` names another one. A project
without seeds or known crashes of its own, such as an empty folder, uses those of the installed package.
"""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def home() -> Path:
    """The folder that holds ``build/``, ``corpus/`` and ``crashes/``."""
    return Path(os.environ.get("HARNESS_HOME", ".")).resolve()


def shown(path: Path) -> Path:
    """``path`` as people read it: from the current folder on, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def build_dir() -> Path:
    """Instrumented parsers, campaigns, caches; safe to delete. Compilers note paths, so a link is followed."""
    return (home() / "build").resolve()


def parsers_dir() -> Path:
    """One folder per parser build."""
    return build_dir() / "parsers"


def campaigns_dir() -> Path:
    """One folder per campaign."""
    return build_dir() / "campaigns"


def _own_or_packaged(name: str) -> Path:
    own = home() / name
    if own.is_dir():
        return own
    # In a wheel the folder lies inside the package; in an editable install beside it.
    packaged = _PACKAGE / "_data" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name


def corpus_dir() -> Path:
    """Committed seeds, ``corpus/<target>/<sha1>``; the package's own where the project has none."""
    return _own_or_packaged("corpus")


def crashes_dir() -> Path:
    """Filed findings, one folder each; the package's own where the project has none."""
    return _own_or_packaged("crashes")
