"""Is the forecast right? The second half of recorded campaigns is held back, predicted from the first, and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from harness.engine.campaign.main import Campaign, CampaignSettings
from harness.ledger import records
from harness.ledger.forecast import of_curve
from harness.ledger.records import KINDS, Point

#: A curve of fewer points has no half to speak of.
_LEAST = 8


def record(
    targets: Sequence[str], campaigns: int, seconds: float, seed: int, folder: Path, say: Callable[[str], None], *, empty: bool
) -> list[Path]:  # fmt: skip
    """Run ``campaigns`` campaigns of one worker, one after another, each with a seed of its own; returns their folders."""
    folders = []
    for number in range(campaigns):
        target = targets[number % len(targets)]
        place = folder / f"{number:02}-{target}"
        settings = CampaignSettings(place, (target,), seconds=seconds, seed=seed + number, fresh=True, empty=empty)
        outcome = Campaign(settings, lambda progress: None).run()
        say(f"  {place.name}: {outcome.session['executions']} executions")
        folders.append(place)
    return folders


def halves(curve: Sequence[Point]) -> tuple[Sequence[Point], Point] | None:
    """The points up to half of the executions, and the last point; None where the curve has too few points or none near it."""
    if len(curve) < _LEAST:
        return None
    half = curve[-1].executions / 2
    at = min(range(len(curve)), key=lambda place: abs(curve[place].executions - half))
    near = 0.8 * half <= curve[at].executions <= 1.2 * half
    return (curve[: at + 1], curve[-1]) if near and at + 1 >= _LEAST // 2 else None


def validate(folders: Sequence[Path]) -> dict[str, Any]:
    """Predict the second half of each recorded target; what came of it by kind: rows, how many held, the median width.

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
    return {kind: {"rows": found, **_summed(found)} for kind, found in rows.items() if found}


def _summed(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "campaigns": len(rows),
        "inside": sum(row["inside"] for row in rows),
        "median_width": round(median(row["width"] for row in rows), 2),
    }


def table(result: dict[str, Any]) -> list[str]:
    """Lines for a person, one for each campaign and kind."""
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
