"""Runs one campaign with settings that `harness fuzz` does not have: ``python -m harness.bench.peers.drive FILE``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.engine.campaign.main import Campaign, CampaignSettings
from harness.engine.worker.json_file import JsonFile
from harness.errors import HarnessError
from harness.targets.registry import all_targets, broken_targets, not_installed


@dataclass(frozen=True)
class Drive(JsonFile):
    """The settings: fields of CampaignSettings. No ``targets`` are all that can run here."""

    folder: Path
    parser: str
    seconds: float
    seed: int
    targets: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    even: bool = False
    empty: bool = True
    worker: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> CampaignSettings:
        """Those of the campaign."""
        unable = {**not_installed(), **broken_targets()}
        able = tuple(name for name in all_targets() if name not in unable)
        return CampaignSettings(
            folder=self.folder.resolve(),
            targets=self.targets or able,
            parser=self.parser,
            seconds=self.seconds,
            seed=self.seed,
            empty=self.empty,
            disabled=self.disabled,
            even=self.even,
            worker_options=self.worker,
        )


def main(arguments: Sequence[str]) -> int:
    """Run it. The exit status: 0, or that of the error."""
    try:
        Campaign(Drive.load(Path(arguments[0])).settings(), lambda _: None).run()
    except HarnessError as error:
        print(f"{error}\n  {error.hint}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
