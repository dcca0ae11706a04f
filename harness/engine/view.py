"""The live view of a campaign: a rich table on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.engine.progress import Progress

STAGES = ("framing", "utf-8", "json or fields", "layout or size", "accepted")
_LINE_EVERY = 5.0


def _count(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / limit * (10 if unit == 'k' else 1):.1f}{unit}"
    return f"{value:.0f}"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def table(progress: Progress) -> RenderableType:
    """The whole view as one renderable."""
    left = f"{max(progress.seconds - progress.elapsed, 0):.0f} s left" if not progress.runs else f"{progress.runs} runs"
    since = progress.elapsed - progress.last_find
    head = Text.assemble(
        ("safetensors-harness", "bold"),
        f"   {progress.elapsed:.0f} s, {left}   executions {_count(progress.executions())}   findings ",
        (str(len(progress.new())), "bold red" if progress.new() else "green"),
        f" new, {len(progress.known())} known" + (f"   last find {since:.0f} s ago" if progress.findings else ""),
    )
    targets = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("target", "execs", "exec/s", "deep", "accepted", "edges", "features", "meaning", "corpus", "oracles"):
        targets.add_column(title, justify="left" if title == "target" else "right")
    for name, target in progress.targets.items():
        executions = target.sums["executions"]
        spent = sum(target.ns.values())
        targets.add_row(
            name,
            _count(executions),
            _count(target.rate()),
            _percent(target.sums["deep"], executions) if target.stages else "-",
            _percent(target.sums["accepted"], executions),
            str(target.edges),
            str(target.features),
            str(target.semantic),
            str(target.corpus),
            _percent(target.ns.get("oracles", 0), spent),
        )
    parts: list[RenderableType] = [head, targets, _stages(progress), _operators(progress)]
    defects = sum(target.sums["defects"] for target in progress.targets.values())
    if defects:
        parts.append(
            Text(f"{defects} defects of the harness itself: see log/*-defect.txt in the campaign", style="red")
        )
    for rule, share in progress.too_wide():
        parts.append(Text(f"verdict rule {rule} covers {100 * share:.1f} % of executions: too wide", style="red"))
    if progress.warning:
        parts.append(Text(progress.warning, style="red"))
    return Group(*parts)


def _stages(progress: Progress) -> RenderableType:
    """Where executions end: by stage for all, by rule of the judge for those judged in full."""
    stages: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    for target in progress.targets.values():
        stages.update(target.stages)
        rules.update(target.rules)
    whole = sum(stages.values())
    grid = Table(box=None, pad_edge=False, header_style="dim")
    grid.add_column("how far executions get")
    grid.add_column("", width=24)
    grid.add_column("", justify="right")
    grid.add_column("judged by rule", style="cyan")
    grid.add_column("", justify="right")
    top = rules.most_common(len(STAGES) + 3)
    names = [*STAGES, *sorted(set(stages) - set(STAGES))]
    for row in range(max(len(names), len(top))):
        name = names[row] if row < len(names) else ""
        share = stages[name] / whole if whole and name else 0
        rule, count = top[row] if row < len(top) else ("", 0)
        bar = Text("█" * round(24 * share), style="green" if name in STAGES[3:] else "yellow")
        grid.add_row(name, bar, f"{100 * share:.1f} %" if name else "", rule, _count(count) if rule else "")
    return grid


def _operators(progress: Progress) -> RenderableType:
    """The operators that paid most: inputs kept per thousand uses."""
    merged: dict[str, Counter[str]] = {}
    for target in progress.targets.values():
        for name, stats in target.operators.items():
            merged.setdefault(name, Counter()).update(stats)
    best = sorted(merged.items(), key=lambda item: -item[1]["kept"])[:6]
    text = "   ".join(f"{name} {stats['kept']}/{_count(stats['uses'])}" for name, stats in best if stats["kept"])
    return Text(f"operators (kept/uses): {text}" if text else "", style="dim")


def line(progress: Progress) -> str:
    """One line for logs and pipes."""
    parts = [f"{progress.elapsed:.0f} s", f"{_count(progress.executions())} executions"]
    parts += [
        f"{name}: {_count(target.rate())}/s, {target.edges} edges, {target.corpus} kept"
        for name, target in progress.targets.items()
        if target.sums["executions"]
    ]
    return "; ".join([*parts, f"findings: {len(progress.new())} new, {len(progress.known())} known"])


class View:
    """Use as a context manager; call it with the progress as often as you like."""

    def __init__(self, console: Console, *, live: bool, say: Callable[[str], None]) -> None:
        self._live = Live(console=console, refresh_per_second=4, transient=False) if live else None
        self._say = say
        self._said = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Show the progress, if it is time to."""
        if self._live is not None:
            self._live.update(table(progress))
        elif time.monotonic() - self._said >= _LINE_EVERY:
            self._said = time.monotonic()
            self._say(line(progress))
