"""The live view of a campaign: tiles on a terminal, lines in a pipe, few lines in the log of a CI job."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Self

from rich.console import Console
from rich.live import Live

from harness.engine.campaign.progress import Progress
from harness.engine.ui.dashboard import Picture
from harness.engine.ui.drawing import count, duration
from harness.engine.ui.trail import Trail

# Seconds between two looks: drawing one takes some milliseconds, which the workers should have.
_DRAWN_EVERY = 0.5
# Seconds between two lines: somebody may be watching a pipe; the log of a CI job is read afterwards.
_LINE_EVERY = 10.0
_LINE_EVERY_IN_CI = 60.0


def in_ci(environment: Mapping[str, str]) -> bool:
    """Whether this is a job of a CI system, by the variables that they set (CI on nearly all of them)."""
    return any(environment.get(name, "").lower() not in ("", "0", "false") for name in ("CI", "GITHUB_ACTIONS"))


def line(progress: Progress) -> str:
    """One line for logs and pipes."""
    parts = [", ".join(filter(None, (duration(progress.elapsed), progress.left())))]
    parts.append(f"{count(progress.executions())} executions")
    targets = [target for target in progress.targets.values() if target.sums["executions"]]
    # Most of one target's edges are another one's too: they are edges of the same parser.
    sums = f" (sums over {len(targets)} targets)" if len(targets) > 1 else ""
    parts.append(
        f"{count(sum(t.edges for t in targets))} edges, {count(sum(t.semantic for t in targets))} semantic features, "
        f"{count(sum(t.corpus for t in targets))} kept{sums}"
    )
    parts.append(f"findings: {len(progress.new())} new, {len(progress.known())} known")
    running = dict.fromkeys(worker.settings.target for worker in progress.active)
    parts += [f"{name} {count(progress.targets[name].rate())}/s" for name in running]
    return "; ".join([*parts, *([progress.warning] if progress.warning else [])])


class View:
    """Use as a context manager; call it with the progress as often as you like."""

    def __init__(
        self,
        console: Console,
        *,
        live: bool,
        say: Callable[[str], None],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        # Drawn by the caller's own thread: no other may look at figures while they change.
        self._live = Live(console=console, auto_refresh=False) if live and not console.is_dumb_terminal else None
        self._say = say
        self._every = _LINE_EVERY_IN_CI if in_ci(environment) else _LINE_EVERY
        self._shown: float | None = None
        self._last: Progress | None = None
        self._trail = Trail()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """The last state stays on the screen, or is the last line."""
        if self._last is not None:
            self._show(self._last)
        if self._live is not None:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Show the progress, if it is time to: the first time at once."""
        now = time.monotonic()
        self._last = progress
        if self._shown is not None and now - self._shown < (self._every if self._live is None else _DRAWN_EVERY):
            return
        self._shown = now
        self._show(progress)

    def _show(self, progress: Progress) -> None:
        self._last = None
        if self._live is None:
            self._say(line(progress))
            return
        reached = {name: target.edges + target.semantic for name, target in progress.targets.items()}
        self._trail.see(time.monotonic(), progress.elapsed, reached, progress.active)
        self._live.update(Picture(progress, self._trail), refresh=True)
