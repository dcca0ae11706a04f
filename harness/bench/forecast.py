"""``harness bench forecast``: predicts the second half of recorded campaigns from the first, and compares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from harness.bench.runner import Say
from harness.engine.campaign.main import Campaign, CampaignSettings
from harness.ledger import records
from harness.ledger.forecast import of_curve
from harness.ledger.records import KINDS, Point

#: Fewest points of a curve that is cut in two.
_LEAST = 8


def record(
    targets: Sequence[str], campaigns: int, seconds: float, seed: int, folder: Path, say: Say, *, empty: bool
) -> list[Path]:
    """Run ``campaigns`` campaigns of one worker, one after another, with seeds from ``seed`` on; returns their folders."""
    folders = []
    for number in range(campaigns):
        target = targets[number % len(targets)]
        place = folder / f"{number:02}-{target}"
        settings = CampaignSettings(place, (target,), seconds=seconds, seed=seed + number, fresh=True, empty=empty)
        outcome = Campaign(settings, lambda progress: None).run()
        outcome.complain()
        say(f"  {place.name}: {outcome.session['executions']} executions")
        folders.append(place)
    return folders


def halves(curve: Sequence[Point]) -> tuple[Sequence[Point], Point] | None:
    """The points up to half of the executions, and the last point; None for a curve with too few points."""
    if len(curve) < _LEAST:
        return None
    half = curve[-1].executions / 2
    at = min(range(len(curve)), key=lambda place: abs(curve[place].executions - half))
    near = 0.8 * half <= curve[at].executions <= 1.2 * half
    return (curve[: at + 1], curve[-1]) if near and at + 1 >= _LEAST // 2 else None


def validate(folders: Sequence[Path]) -> dict[str, Any]:
    """Predict the second half of each recorded target. By kind: rows, number inside the interval, median width.

    ``width`` is relative to the prediction, which counts as 1 where it is less.
    """
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for entry in records.entries(*folders):
        for name, figures in entry.targets.items():
            cut = halves(figures.curve)
            if cut is None:
                continue
            first, last = cut
            seen = of_curve(name, entry.parser, first)
            for kind, one in seen.kinds.items() if seen is not None else ():
                predicted = one.more(last.executions - first[-1].executions)
                real = getattr(last, kind) - getattr(first[-1], kind)
                rows[kind].append(
                    {
                        "target": name,
                        "seed": entry.seed,
                        "executions": first[-1].executions,
                        **predicted.as_json(),
                        "real": real,
                        "inside": predicted.holds(real),
                        "width": round(predicted.width / max(predicted.estimate, 1), 2),
                    }
                )
    return {
        kind: {
            "rows": found,
            "campaigns": len(found),
            "inside": sum(row["inside"] for row in found),
            "median_width": round(median(row["width"] for row in found), 2),
        }
        for kind, found in rows.items()
        if found
    }


def table(result: dict[str, Any]) -> list[str]:
    """Lines of text, one for each campaign and kind."""
    lines = []
    for kind, part in result.items():
        lines.append(f"{kind}: new ones in the second half")
        lines.append(f"  {'target':16}{'seed':>6}{'executions':>12}{'predicted':>11}{'90 %':>14}{'real':>7}  inside")
        for row in part["rows"]:
            span = f"{row['low']:.0f} to {row['high']:.0f}"
            lines.append(
                f"  {row['target']:16}{row['seed']:>6}{row['executions']:>12}{row['estimate']:>11.0f}{span:>14}"
                f"{row['real']:>7}  {'yes' if row['inside'] else 'no'}"
            )
        lines.append(
            f"  inside: {part['inside']} of {part['campaigns']}; median width: {part['median_width']} times the prediction"
        )
    return lines
