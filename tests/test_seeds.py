"""What property tests draw: the same in each run, at night something else each time, and again by the seed that was printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.waiting import LONG

ROOT = Path(__file__).parents[1]
VARIABLES = ("HARNESS_LONG", "HARNESS_HYPOTHESIS_SEED", "CI")


def drawn(*arguments: str, **variables: str) -> tuple[list[str], list[str]]:
    """The seeds that a run prints, and what it draws."""
    clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", *arguments, "tests/drawn.py"],
        cwd=ROOT,
        env=clean | variables,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"property tests: seed (\d+)", done.stdout), re.findall(r"drawn (\d+)", done.stdout)


def test_a_run_draws_what_the_run_before_drew() -> None:
    seeds, first = drawn()
    assert seeds == []
    assert len(first) > 50
    assert drawn() == ([], first)


def test_a_night_draws_something_else_and_its_seed_draws_it_again() -> None:
    (seed,), first = drawn(HARNESS_LONG="1")
    assert drawn(HARNESS_LONG="1")[1] != first
    assert drawn(HARNESS_HYPOTHESIS_SEED=seed) == ([seed], first)
    assert drawn(f"--hypothesis-seed={seed}") == ([seed], first)
