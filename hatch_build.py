"""Puts seeds and known crashes into the wheel, where an installed harness looks for them (harness/paths.py).

A static ``force-include`` would also copy them into editable installs, which read the checkout itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DataHook(BuildHookInterface[Any]):
    """Adds corpus/ and crashes/ to standard wheels as harness/_data."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Extend the files of the build; ``version`` is hatchling's name of the kind of wheel."""
        if version == "standard":
            for name in ("corpus", "crashes"):
                if (Path(self.root) / name).is_dir():
                    build_data["force_include"][name] = f"harness/_data/{name}"
