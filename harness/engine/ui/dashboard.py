"""What the live view shows: totals, the curve of discovery, a tile per worker, targets, and where executions end.

Everything is laid out for the terminal as it is at that moment: where workers do not fit as tiles they become rows, and what
matters less is left out. Nothing is wrapped, and no number is cut.
"""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from harness.engine.campaign.progress import Progress, TargetProgress
from harness.engine.ui.drawing import Piece, bar, count, curve, duration, percent, row, rows
from harness.engine.ui.trail import Running, Trail, figures
from harness.engine.worker.tally import STAGES

_TILE_WIDTH = (38, 60)
_TILE_LINES = 6
# Headings and widths of a worker's row, and of a target's; the target's name comes first, in what is left.
_ROW = (
    ("exec/s", 7),
    ("deep", 5),
    ("edges", 6),
    ("semantic", 9),
    ("corpus", 7),
    ("last new", 11),
    ("found", 6),
    ("MB", 5),
)
_TARGET = (("execs", 7), ("exec/s", 7), ("deep", 5), ("accepted", 9), ("edges", 6), ("semantic", 9), ("corpus", 7),
           ("features", 9))  # fmt: skip
_NAME = (10, 24)


class Picture:
    """The whole view; made anew for each look."""

    def __init__(self, progress: Progress, trail: Trail) -> None:
        self._progress = progress
        self._trail = trail
        self._now = time.monotonic()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lines for a terminal of this size; rich calls it."""
        lines = self.lines(options.max_width, console.height, ascii_only=options.ascii_only)
        joined = Text("\n", no_wrap=True).join(lines)
        joined.no_wrap, joined.end = True, ""
        yield joined

    def lines(self, width: int, height: int, *, ascii_only: bool = False) -> list[Text]:
        """At most ``height - 1`` lines of at most ``width`` characters: the cursor needs one."""
        room = height - 1
        lines = [*self._totals(width, ascii_only=ascii_only), *self._alarms(width)]
        lines += self._curve(width, 3 if height >= 40 else 1, ascii_only=ascii_only)
        workers = self._workers(width, room - len(lines), ascii_only=ascii_only)
        lines += workers
        for part in (self._targets(width, room - len(lines) - 1), self._stages(width, ascii_only=ascii_only)):
            if part and len(lines) + 1 + len(part) <= room:
                lines += [Text(), *part]
        for line in lines:
            line.truncate(width)
        return lines[:room]

    def _totals(self, width: int, *, ascii_only: bool) -> list[Text]:
        progress = self._progress
        done, targets = progress.executions(), progress.targets.values()
        if progress.runs:
            whole = progress.runs * max(len(progress.names), 1)
            share, left = done / whole, progress.left() or f"{count(done)} of {count(whole)} executions"
        else:
            share = progress.elapsed / progress.seconds if progress.seconds else 1.0
            left = progress.left()
        head = row(["safetensors-harness", duration(progress.elapsed), (left, "bold"), ("Ctrl-C ends it cleanly", "dim")],
                   width - 12, "   ")  # fmt: skip
        head.append("   ")
        head.append_text(bar(share, max(min(width - len(head), 40), 6), ascii_only=ascii_only))
        rate = (
            sum(self._trail.rate(worker) for worker in progress.active) if progress.active else done / progress.elapsed
        )
        judged = [target for target in targets if target.stages]
        deep = percent(sum(t.sums["deep"] for t in judged), sum(t.sums["executions"] for t in judged))
        new, known = len(progress.new()), len(progress.known())
        since = f"last find {duration(progress.elapsed - progress.last_find)} ago" if progress.findings else ""
        return [
            head,
            row(
                [
                    f"{count(done)} executions",
                    f"{count(rate)}/s",
                    f"{deep} deep" if judged else "",
                    # Of the same parser: most edges of one target are another one's too.
                    f"{count(sum(t.edges for t in targets))} edges" + " summed" * (len(targets) > 1),
                    f"{count(sum(t.semantic for t in targets))} semantic",
                    f"{count(sum(t.corpus for t in targets))} kept",
                    f"{count(sum(t.sums['cpu_seconds'] for t in targets))} CPU-s",
                ],
                width,
                "   ",
            ),
            row([(f"findings: {new} new", "bold red" if new else "green"), f"{known} known", since], width, "   "),
        ]

    def _alarms(self, width: int) -> list[Text]:
        progress = self._progress
        said = []
        if defects := sum(target.sums["defects"] for target in progress.targets.values()):
            said.append(f"{defects} defects of the harness itself: log/*-defect.txt in the campaign")
        said += [
            f"verdict rule {rule} covers {100 * share:.1f} % of executions: too wide"
            for rule, share in progress.too_wide()
        ]
        said += [progress.warning] if progress.warning else []
        return [Text(part, "red") for text in said for part in textwrap.wrap(text, width)[:2]]

    def _curve(self, width: int, height: int, *, ascii_only: bool) -> list[Text]:
        points = self._trail.curve
        if len(points) < 2:
            return []
        label = f"+{count(points[-1][1] - points[0][1])} discovered"
        drawn = curve(points, width - len(label) - 2, height, ascii_only=ascii_only)
        lines = [Text.assemble((line, "cyan")) for line in drawn]
        lines[-1].append(f"  {label}")
        return lines

    def _workers(self, width: int, room: int, *, ascii_only: bool) -> list[Text]:
        active = self._progress.active
        if not active:
            return []
        across = max(1, min(len(active), width // _TILE_WIDTH[0]))
        down = -(-len(active) // across)
        if down * (_TILE_LINES + 2) <= room:
            return self._tiles(active, across, min(width // across, _TILE_WIDTH[1]), ascii_only=ascii_only)
        return self._rows(active, width, room)

    def _tiles(self, active: Sequence[Running], across: int, width: int, *, ascii_only: bool) -> list[Text]:
        corners, flat, side = ("++++", "-", "|") if ascii_only else ("╭╮╰╯", "─", "│")
        inner = width - 4
        lines: list[Text] = []
        for first in range(0, len(active), across):
            tiles = []
            for worker in active[first : first + across]:
                title = Text.assemble(
                    (f"{corners[0]}{flat} ", "dim"), (_named(worker, active)[: inner - 4], "bold"), " "
                )
                title.append(flat * (width - 1 - len(title)) + corners[1], "dim")
                body = self._tile(worker, inner)
                tile = [title]
                for line in body:
                    line.pad_right(inner - len(line))
                    tile.append(Text.assemble((f"{side} ", "dim"), line, (f" {side}", "dim")))
                tile.append(Text(corners[2] + flat * (width - 2) + corners[3], "dim"))
                tiles.append(tile)
            lines += [Text().join(parts) for parts in zip(*tiles, strict=True)]
        return lines

    def _tile(self, worker: Running, width: int) -> list[Text]:
        """The lines of a worker, always as many."""
        status = worker.status
        if not status:
            text = f"starting, {duration(self._now - worker.started)}"
            return [row([text], width), *(Text() for _ in range(_TILE_LINES - 1))]
        found = status.get("findings", {}).values()
        new = sum(not entry.get("known") for entry in found)
        deep = _deep(status)
        return [
            row([(f"{count(self._trail.rate(worker))}/s", "bold"), f"{deep} deep" if deep else "", _accepted(status)],
                width),
            row([f"{_edges(worker)} edges", f"{status.get('semantic_features', 0)} semantic"], width),
            row([f"{figures(worker)['corp']} kept", f"last new {self._ago(worker)} ago"], width),
            row([(f"{new} new", "bold red") if new else "0 new", f"{len(found) - new} known",
                 f"{status.get('rss_mb', 0)} MB", f"{count(status.get('executions', 0))} done"], width),
            *rows(_operators(status.get("operators", {})), width, 2),
        ]  # fmt: skip

    def _ago(self, worker: Running) -> str:
        return duration(self._trail.since_kept(worker, self._now))

    def _rows(self, active: Sequence[Running], width: int, room: int) -> list[Text]:
        """A row per worker, in two halves of the screen where it is wide."""
        least = _NAME[0] + sum(w for _, w in _ROW)
        halves = 2 if width >= 2 * least + 3 and len(active) > 4 else 1
        half = (width - 3 * (halves - 1)) // halves
        fits = max(halves * (room - 2), 1)
        shown = active[:fits]
        cells = [
            _cells(_named(worker, active), [
                count(self._trail.rate(worker)), _deep(worker.status) or "-", str(_edges(worker)),
                str(worker.status.get("semantic_features", 0)), str(figures(worker)["corp"]), self._ago(worker),
                str(len(worker.status.get("findings", ()))), str(worker.status.get("rss_mb", 0)),
            ], _ROW, half)
            for worker in shown
        ]  # fmt: skip
        down = -(-len(cells) // halves)
        lines = [Text("   ").join([_heading("worker on", _ROW, half)] * halves)]
        for at in range(down):
            lines += [Text("   ").join(cells[at::down])]
        if len(active) > len(shown):
            lines.append(Text(f"and {len(active) - len(shown)} more workers", "dim"))
        return lines

    def _targets(self, width: int, room: int) -> list[Text]:
        """A row per target that ran, those that run now first where not all fit; nothing where one worker has it all."""
        ran = {name: t for name, t in self._progress.targets.items() if t.sums["executions"]}
        if len(ran) < 2 or room < 3:
            return []
        running = {worker.settings.target for worker in self._progress.active}
        names = sorted(ran, key=lambda name: name not in running) if len(ran) >= room else list(ran)
        names = names if len(ran) < room else names[: room - 2]
        lines = [_heading("target", _TARGET, width), *(_target(name, ran[name], width) for name in names)]
        if len(names) < len(ran):
            lines.append(Text(f"and {len(ran) - len(names)} more targets", "dim"))
        return lines

    def _stages(self, width: int, *, ascii_only: bool) -> list[Text]:
        """Where executions end: by stage for all, by rule of the judge for those judged in full."""
        stages: Counter[str] = Counter()
        rules: Counter[str] = Counter()
        for target in self._progress.targets.values():
            stages.update(target.stages)
            rules.update(target.rules)
        whole = sum(stages.values())
        if not whole:
            return []
        names = [*STAGES, *sorted(set(stages) - set(STAGES))]
        top = [f"{rule:<24}{count(n):>7}" for rule, n in rules.most_common(len(names))]
        lines = [row([(f"{'how far executions get':<47}", "dim"), ("judged by rule" if top else "", "dim")], width)]
        for number, name in enumerate(names):
            share = stages[name] / whole
            line = Text(f"{name:<16}", no_wrap=True)
            line.append_text(bar(share, 22, ascii_only=ascii_only))
            line.append(f"{percent(stages[name], whole):>6}")
            if number < len(top) and width >= len(line) + 3 + len(top[number]):
                line.append(f"   {top[number]}")
            lines.append(line)
        return lines


def _named(worker: Running, active: Sequence[Running]) -> str:
    """Its target; with a number where several workers drive it."""
    same = [other for other in active if other.settings.target == worker.settings.target]
    return f"{worker.settings.target} #{1 + same.index(worker)}" if len(same) > 1 else str(worker.settings.target)


def _edges(worker: Running) -> int:
    """Edges of the parser: what libFuzzer covers without the semantic features, which it counts alike."""
    return max(figures(worker)["cov"] - int(worker.status.get("semantic_features", 0)), 0)


def _deep(status: Mapping[str, Any]) -> str:
    """Share of executions that got deep; "" for programs, which have no depth."""
    return percent(status.get("deep", 0), status.get("executions", 0)) if status.get("stages") else ""


def _accepted(status: Mapping[str, Any]) -> str:
    return f"{percent(status.get('accepted', 0), status.get('executions', 0))} accepted"


def _operators(operators: Mapping[str, Mapping[str, Any]]) -> list[Piece]:
    """The operators whose outputs are kept most often, with the kept ones per hundred uses."""
    tried = {name: stats for name, stats in operators.items() if stats["kept"] and stats["uses"] >= 20}
    best = sorted(tried, key=lambda name: -tried[name]["kept"] / tried[name]["uses"])
    return [("yield", "dim"), *(f"{name} {100 * tried[name]['kept'] / tried[name]['uses']:.1f} %" for name in best[:8])]


def _heading(name: str, columns: Sequence[tuple[str, int]], width: int) -> Text:
    line = _cells(name, [title for title, _ in columns], columns, width)
    line.stylize("dim")
    return line


def _cells(name: str, values: Sequence[str], columns: Sequence[tuple[str, int]], width: int) -> Text:
    """A row of a table: as many whole columns as there is room for beside a name of ten characters."""
    while columns and _NAME[0] + sum(w for _, w in columns) > width:
        columns = columns[:-1]
    first = min(width - sum(w for _, w in columns), _NAME[1])
    short = name if len(name) < first else f"{name[: first - 2]}. "
    line = Text(f"{short:<{first}}", no_wrap=True)
    for (_, wide), value in zip(columns, values, strict=False):
        line.append(f"{value:>{wide}}")
    return line


def _target(name: str, target: TargetProgress, width: int) -> Text:
    done = target.sums["executions"]
    deep = percent(target.sums["deep"], done) if target.stages else "-"
    values = [count(done), count(target.rate()), deep, percent(target.sums["accepted"], done)]
    values += [str(target.edges), str(target.semantic), str(target.corpus), str(target.features)]
    return _cells(name, values, _TARGET, width)
