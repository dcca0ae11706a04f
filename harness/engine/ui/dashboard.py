"""The live view on a terminal: totals, the curve of discovery, a tile per worker, targets, and where executions end.

Workers that do not fit as tiles become rows of a table. A part that does not fit below the others is left out.
"""

from __future__ import annotations

import time
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate, zip_longest

from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.segment import SegmentLines
from rich.table import Table
from rich.text import Text

from harness.engine.campaign.discovery import Watched
from harness.engine.campaign.progress import Progress
from harness.engine.worker.status import WorkerStatus
from harness.engine.worker.tally import STAGES
from harness.text import count, duration, percent, short

# Columns and lines of a worker's tile.
_TILE = (39, 7)
_BLOCKS, _ASCII_BLOCKS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
_WORKER = ("worker on", "exec/s", "deep", "edges", "semantic", "kept", "last new", "found", "MB")
_TARGET = ("target", "execs", "exec/s", "deep", "accepted", "edges", "semantic", "kept", "features")


class Dashboard:
    """The view of one moment."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._now = time.monotonic()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Called by rich. One line and one column stay free for the cursor: the echo of Ctrl-C must not start a new line."""
        room, width = console.height - 1, options.max_width - 1
        height, blocks = 3 if room >= 40 else 1, _ASCII_BLOCKS if options.ascii_only else _BLOCKS
        parts: tuple[Callable[[int], RenderableType | None], ...] = (
            lambda _: self._head(width),
            lambda _: self._figures(width),
            lambda _: self._findings(width),
            lambda _: self._warnings(),
            lambda _: self._curve(width, height, blocks),
            lambda room: self._workers(width, room),
            lambda room: self._targets(width, room - 1),
            lambda _: self._stages(width),
        )
        for part in parts:
            shown = part(room)
            lines = console.render_lines(shown, options.update(width=width, height=None), pad=False) if shown else []
            if 0 < len(lines) <= room:
                room -= len(lines)
                yield SegmentLines(lines, new_lines=True)

    def _head(self, width: int) -> RenderableType:
        """The time, the rest of it, and a bar."""
        progress, left = self._progress, self._progress.left()
        share = progress.elapsed / progress.seconds if progress.seconds else 1.0
        if progress.runs:
            done, whole = progress.executions(), progress.runs * len(progress.names)
            share, left = done / whole, left or f"{short(done)} of {short(whole)} executions"
        head = Table.grid(padding=(0, 2, 0, 0), expand=True)
        bar = ProgressBar(total=1.0, completed=min(share, 1.0))
        text = _line(width - 8, Text("harness fuzz", "bold"), _time(progress.elapsed), Text(left, "bold"))
        head.add_row(text, bar)
        _align(head)
        head.columns[-1].ratio = 1
        return head

    def _figures(self, width: int) -> RenderableType:
        """Sums over all targets. Those of edges count edges of the same parser more than once."""
        progress, targets = self._progress, self._progress.targets.values()
        done, active = progress.executions(), progress.active
        rate = sum(worker.status.rate for worker in active) if active else done / progress.elapsed
        staged = [target for target in targets if target.stages]
        deep, of = (sum(target.sums[name] for target in staged) for name in ("deep", "executions"))
        edges, semantic, kept = (
            sum(t.largest[name] for t in targets) for name in ("edges", "semantic_features", "corpus")
        )
        return _line(
            width,
            f"{short(done)} executions",
            f"{short(rate)}/s",
            f"{percent(deep, of)} deep" if staged else "",
            f"{count(edges)} edges" + " summed" * (len(targets) > 1),
            f"{count(semantic)} semantic",
            f"{count(kept)} kept",
            f"{short(sum(t.sums['cpu_seconds'] for t in targets))} CPU-s",
        )

    def _findings(self, width: int) -> RenderableType:
        progress = self._progress
        new, known = len(progress.new()), len(progress.known())
        since = f"last find {_time(progress.elapsed - progress.last_find)} ago" if progress.findings else ""
        new_text = Text(f"findings: {new} new", "bold red" if new else "green")
        return _line(width, new_text, f"{known} known", since, Text("Ctrl-C ends it cleanly", "dim"))

    def _warnings(self) -> RenderableType | None:
        progress = self._progress
        defects = sum(target.sums["defects"] for target in progress.targets.values())
        lines = [f"{defects} defects of the harness itself: log/*-defect.txt in the campaign"] if defects else []
        lines += [
            f"verdict rule {rule} covers {100 * share:.1f} % of executions: too wide"
            for rule, share in progress.too_wide()
        ]
        lines += [progress.warning] if progress.warning else []
        return Text("\n".join(lines), "red") if lines else None

    def _curve(self, width: int, height: int, blocks: str) -> RenderableType | None:
        points = self._progress.gained()
        if not points:
            return None
        label = f"  +{count(points[-1][1])} discovered"
        lines = sparkline(points, max(width - len(label), 1), height, blocks)
        return Text("\n".join(lines), "cyan", no_wrap=True).append(label, "default")

    def _workers(self, width: int, room: int) -> RenderableType | None:
        active = self._progress.active
        across = max(width // _TILE[0], 1)
        if not active:
            return None
        if -(-len(active) // across) * _TILE[1] <= room:
            wide = min(width // min(across, len(active)), 60)
            return Columns([self._tile(worker, wide) for worker in active], padding=0)
        # Two tables side by side on a wide terminal.
        tables = 2 if width >= 150 else 1
        down = min(-(-len(active) // tables), max(room - 2, 1))
        shown = active[: tables * down]
        parts = [[self._row(worker) for worker in shown[at : at + down]] for at in range(0, len(shown), down)]
        table = Columns([_table(_WORKER, part, width // tables - 4) for part in parts], padding=(0, 4, 0, 0))
        hidden = len(active) - len(shown)
        return Group(table, Text(f"and {hidden} more workers", "dim")) if hidden else table

    def _tile(self, worker: Watched, width: int) -> Panel:
        status, found = worker.status, worker.status.findings.values()
        new = sum(not entry.get("known") for entry in found)
        body: RenderableType = f"starting, {_time(self._now - worker.started)}"
        if status.executions:
            grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
            for name, value, name2, value2 in (
                ("exec/s", short(status.rate), "execs", short(status.executions)),
                ("deep", _deep(status), "accepted", percent(status.accepted, status.executions)),
                ("edges", count(status.edges), "semantic", count(status.semantic_features)),
                ("kept", count(status.corpus), "last new", _time(self._now - worker.last_new)),
            ):
                grid.add_row(Text(name, "dim"), value, "", Text(name2, "dim"), value2)
            _align(grid, 1, 4)
            body = Group(grid, _yields(status, width - 4))
        told = [
            ("bold red" if new else "", f"{new} new"),
            ("", f"{len(found) - new} known"),
            ("", f"{status.rss_mb} MB"),
        ]
        subtitle = Text(", ").join(Text(text, style) for style, text in told)
        return Panel(body, title=Text(self._name(worker), "bold"), subtitle=subtitle, title_align="left",
                     subtitle_align="right", border_style="dim", width=width, height=_TILE[1])  # fmt: skip

    def _name(self, worker: Watched) -> str:
        """The worker's target, with a number where several workers drive it."""
        target = worker.settings.target
        same = [other for other in self._progress.active if other.settings.target == target]
        return f"{target} #{1 + same.index(worker)}" if len(same) > 1 else target

    def _row(self, worker: Watched) -> Sequence[str]:
        status = worker.status
        return (
            self._name(worker), short(status.rate), _deep(status), count(status.edges), count(status.semantic_features),
            count(status.corpus), _time(self._now - worker.last_new), str(len(status.findings)), str(status.rss_mb),
        )  # fmt: skip

    def _targets(self, width: int, room: int) -> RenderableType | None:
        """A row per target that ran, running ones first where not all fit. None for a single target."""
        ran = {name: target for name, target in self._progress.targets.items() if target.sums["executions"]}
        running = {worker.settings.target for worker in self._progress.active}
        if len(ran) < 2 or room < 3:
            return None
        names = sorted(ran, key=lambda name: name not in running)[: room - 2] if len(ran) >= room else list(ran)
        rows = []
        for name in names:
            target, done = ran[name], ran[name].sums["executions"]
            largest = [count(target.largest[key]) for key in ("edges", "semantic_features", "corpus", "features")]
            deep = percent(target.sums["deep"], done) if target.stages else "-"
            rows.append((name, short(done), short(target.rate), deep, percent(target.sums["accepted"], done), *largest))
        more = [Text(f"and {len(ran) - len(names)} more targets", "dim")] if len(names) < len(ran) else []
        return Group("", _table(_TARGET, rows, width), *more)

    def _stages(self, width: int) -> RenderableType | None:
        """Where executions end: all of them by stage, those judged in full by rule."""
        stages: Counter[str] = Counter()
        rules: Counter[str] = Counter()
        for target in self._progress.targets.values():
            stages.update(target.stages)
            rules.update(target.rules)
        names = [*STAGES, *sorted(set(stages) - set(STAGES))] if stages else []
        top = rules.most_common(len(names) if width >= 75 else 0)
        heads = ("executions end at", "", "", *(("judged", "by rule") if top else ()))
        table = Table(*heads, box=None, pad_edge=False, header_style="dim")
        _align(table, 2, 3)
        table.columns[-1].overflow = "ellipsis"
        # A short bar leaves room for the names of rules.
        wide = 22 if width >= 90 else 12
        for name, rule in zip_longest(names, top):
            bar = ProgressBar(total=stages.total(), completed=stages[name], width=wide)
            judged = (short(rule[1]), Text(rule[0])) if rule else ()
            table.add_row(Text(name), bar, percent(stages[name], stages.total()), *judged)
        return Group("", table) if names else None


def sparkline(points: Sequence[tuple[float, float]], width: int, height: int, blocks: str = _BLOCKS) -> list[str]:
    """The area below ``points`` (time, value), both rising, as ``height`` lines of ``width`` characters of ``blocks``."""
    steps, times, (begin, low), (end, high) = len(blocks) - 1, [at for at, _ in points], points[0], points[-1]
    columns = [begin + (end - begin) * column / max(width - 1, 1) for column in range(width)]
    values = [points[bisect(times, at) - 1][1] for at in columns]
    levels = [max(round((value - low) / ((high - low) or 1) * steps * height), 1) for value in values]
    lines = reversed(range(height))
    return ["".join(blocks[min(max(level - steps * line, 0), steps)] for level in levels) for line in lines]


def _line(width: int, *pieces: Text | str) -> Text:
    """Pieces side by side, as many as fit from the left; "" is left out."""
    texts = [Text.assemble(piece) for piece in pieces if piece]
    fitting = sum(total - 2 <= width for total in accumulate(len(text) + 2 for text in texts))
    return Text("  ").join(texts[:fitting])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table:
    """A table with as many whole columns as fit into ``width``, from the left."""
    widths = accumulate(max(map(len, column)) + 2 for column in zip(heads, *rows, strict=True))
    fitting = max(sum(total - 2 <= width for total in widths), 1)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for number, head in enumerate(heads[:fitting]):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row[:fitting]))  # not as str, which rich reads as markup
    return table


def _align(table: Table, *right: int) -> None:
    """Align the columns ``right`` to the right, and wrap none."""
    for number, column in enumerate(table.columns):
        column.no_wrap, column.overflow = True, "crop"
        column.justify = "right" if number in right else "left"


def _time(seconds: float) -> str:
    return duration(round(seconds))


def _deep(status: WorkerStatus) -> str:
    """Share of executions that got deep; "-" for programs, which have no depth."""
    return percent(status.deep, status.executions) if status.stages else "-"


def _yields(status: WorkerStatus, width: int) -> Text:
    """The best operators, with their kept inputs per hundred uses; as many as fit."""
    tried = {name: 100 * s["kept"] / s["uses"] for name, s in status.operators.items() if s["kept"] and s["uses"] >= 20}
    best = sorted(tried, key=lambda name: -tried[name])
    return _line(width, Text("yield", "dim"), *([f"{name} {tried[name]:.1f} %" for name in best] or ["-"]))
