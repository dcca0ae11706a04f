"""The display of a campaign: a dashboard on a terminal, lines in a pipe, few lines in the log of a CI job."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Self

from rich.console import Console
from rich.live import Live

from harness.engine.campaign.progress import Progress
from harness.engine.ui.dashboard import Dashboard
from harness.text import duration, short

# Seconds between two drawings. Each takes some milliseconds from the workers.
_DRAWN_EVERY = 0.5
# Seconds between two lines. A person may watch a pipe; the log of a CI job is read afterwards.
_LINE_EVERY = 10.0
_LINE_EVERY_IN_CI = 60.0


def in_ci(environment: Mapping[str, str]) -> bool:
    """Whether this is a job of a CI system. Nearly all of them set CI."""
    return any(environment.get(name, "").lower() not in ("", "0", "false") for name in ("CI", "GITHUB_ACTIONS"))


def line(progress: Progress) -> str:
    """One line for logs and pipes."""
    parts = [", ".join(filter(None, (duration(round(progress.elapsed)), progress.left())))]
    parts.append(f"{short(progress.executions())} executions")
    targets = [target for target in progress.targets.values() if target.sums["executions"]]
    edges, semantic, kept = (sum(t.largest[name] for t in targets) for name in ("edges", "semantic_features", "corpus"))
    # Sums over targets count edges of the same parser more than once.
    sums = f" (sums over {len(targets)} targets)" if len(targets) > 1 else ""
    parts.append(f"{edges} edges, {semantic} semantic features, {kept} kept{sums}")
    parts.append(f"findings: {len(progress.new())} new, {len(progress.known())} known")
    running = dict.fromkeys(worker.settings.target for worker in progress.active)
    parts += [f"{name} {short(progress.targets[name].rate)}/s" for name in running]
    return "; ".join([*parts, *([progress.warning] if progress.warning else [])])


class View:
    """Use as a context manager. Call it with the progress at any rate."""

    def __init__(
        self,
        console: Console,
        *,
        live: bool,
        say: Callable[[str], None],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        # Without a refresh thread: no other thread may read figures while they change.
        self._live = Live(console=console, auto_refresh=False) if live and not console.is_dumb_terminal else None
        self._say = say
        self._every = _LINE_EVERY_IN_CI if in_ci(environment) else _LINE_EVERY
        self._shown: float | None = None
        self._stopping = False
        self._last: Progress | None = None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Show the last state, which stays on the terminal or is the last line."""
        if self._last is not None:
            self._show(self._last)
        if self._live is not None:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Show the progress the first time, and then where enough time has passed, or the end was asked for."""
        now = time.monotonic()
        self._last = progress
        due = self._shown is None or now - self._shown >= (self._every if self._live is None else _DRAWN_EVERY)
        if not due and progress.stopping == self._stopping:
            return
        self._shown, self._stopping = now, progress.stopping
        self._show(progress)

    def _show(self, progress: Progress) -> None:
        self._last = None
        if self._live is None:
            self._say(line(progress))
        else:
            self._live.update(Dashboard(progress), refresh=True)
