"""Ranks functions by how far their coverage goes with a finding: Ochiai over failing and passing runs.

Coverage is of *elements*: Rust regions and Python lines. An element speaks for its function when it runs in the failing run
and rarely in passing ones. It also does when it is left out of the failing run, although the function was entered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.coverage.functions import Place

#: Runs of each side that count: those whose coverage is nearest to that of the failing input.
NEAREST = 10
# Weights, tried on the defects of 0.8.0: of a function's executed elements (a large function has more to be wrong), of an
# exception that left it, and of how often its elements ran.
_SIZE, _RAISED, _OFTEN = 0.05, 0.3, 0.001

Numbers = NDArray[np.uint64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Coverage of runs, a row per run; the first is that of the failing input.

    ``places`` and ``lines`` are the function and the line of each element, ``counts`` how often it ran. ``raised`` is the
    number of the step at which an exception passed it, or 0.
    """

    places: Sequence[Place]
    lines: Sequence[int]
    counts: Numbers
    raised: Numbers


@dataclass(frozen=True, slots=True)
class Suspect:
    """A function, its score, the ``line`` that speaks most for it, and ``why``."""

    place: Place
    score: float
    line: int
    why: str


def ochiai(ran: Flags, failing: Flags, passing: Flags) -> NDArray[np.float64]:
    """The coefficient of each column of ``ran``: 1 where all failing runs have it and no passing run."""
    failed, passed = ran[failing].sum(axis=0), ran[passing].sum(axis=0)
    return np.asarray(failed / np.sqrt(np.maximum(failing.sum() * (failed + passed), 1)))


def same_coverage(spectrum: Spectrum, passing: Flags) -> int:
    """The number of passing runs that ran exactly the elements that the failing input runs."""
    ran = spectrum.counts > 0
    return int((ran == ran[0]).all(axis=1)[passing].sum())


def rank(spectrum: Spectrum, failing: Flags) -> list[Suspect]:
    """Every function that the failing input runs, the most suspicious first. ``failing`` tells the runs with the finding."""
    ran = spectrum.counts > 0
    near = _similarity(ran)
    chosen, others = _nearest(near, failing), _nearest(near, ~failing)
    raised = spectrum.raised > 0
    thrown = np.where(raised[0], ochiai(raised, chosen, others), 0.0)
    columns: dict[Place, list[int]] = defaultdict(list)
    for column, place in enumerate(spectrum.places):
        columns[place].append(column)
    found = []
    for place, own in columns.items():
        entered: Flags = np.asarray(ran[:, own].any(axis=1))
        if not entered[0]:
            continue
        here = np.where(ran[0, own], ochiai(ran[:, own], chosen, others), 0.0)
        left_out = np.where(ran[0, own], 0.0, ochiai(~ran[:, own] & entered[:, None], chosen, others))
        best = np.maximum(here, left_out)
        line = spectrum.lines[own[int(best.argmax())]]
        score = best.max() * (1 + _SIZE * np.log2(1 + ran[0, own].sum()))
        score += _OFTEN * _more_often(spectrum.counts[:, own], chosen, others)
        why = "ran" if here.max() >= left_out.max() else "left out"
        if thrown[own].any():
            # The innermost function is the one that an exception passes first.
            steps = spectrum.raised[0]
            inner = len({spectrum.places[int(at)] for at in np.flatnonzero(steps) if steps[at] < _first(steps[own])})
            score += _RAISED * thrown[own].max() / (1 + inner)
            line, why = spectrum.lines[own[int(np.argmax(thrown[own]))]], "raised"
        found.append(Suspect(place, float(score), line, why))
    return sorted(found, key=lambda suspect: -suspect.score)


def _first(steps: Numbers) -> int:
    return int(steps[steps > 0].min())


def _similarity(ran: Flags) -> NDArray[np.float64]:
    """Of each run to the first: common elements by all elements (Jaccard)."""
    return np.asarray((ran & ran[0]).sum(axis=1) / np.maximum((ran | ran[0]).sum(axis=1), 1))


def _nearest(near: NDArray[np.float64], wanted: Flags) -> Flags:
    order = [at for at in np.argsort(-near, kind="stable") if wanted[at]]
    chosen = np.zeros(len(near), bool)
    chosen[order[:NEAREST]] = True
    return chosen


def _more_often(counts: Numbers, failing: Flags, passing: Flags) -> float:
    """How far the numbers of executions differ, 0 to 1: some defects show in them alone."""
    share = counts / (1.0 + counts)
    return float(np.abs(share[failing].mean(axis=0) - share[passing].mean(axis=0)).max()) if passing.any() else 0.0
