"""The fast way through the judge beside the strict one, on what the mutator makes of valid files."""

from __future__ import annotations

from collections import Counter

from harness.format.fast import judge_plainly
from harness.format.judge import RULES
from harness.format.strict import judge_strictly
from harness.mutate import Mutator
from harness.mutate.generate import generate
from harness.mutate.rng import Rng

FILES = 20_000
KEPT = 400


def mutations() -> list[bytes]:
    """Mutations of mutations, from fixed seeds."""
    rng = Rng(0)
    pool = []
    for seed in range(KEPT):
        rng.reset(seed)
        pool.append(generate(rng))
    mutator = Mutator(pool[:50])
    outputs = []
    for seed in range(FILES):
        # Spread over the whole width of what libFuzzer hands out.
        out = mutator(pool[seed % KEPT], 2000, seed * 0x9E3779B1 & 0xFFFFFFFF)
        outputs.append(out)
        if seed % 3 == 0:
            pool[seed // 3 % KEPT] = out
    return outputs


def test_fast_and_strict_agree_on_mutations() -> None:
    decided, left = Counter[str](), Counter[str]()
    for data in mutations():
        strictly = judge_strictly(data, len(data))
        plainly = judge_plainly(data, len(data))
        if plainly is None:
            left[strictly.rule] += 1
            continue
        decided[strictly.rule] += 1
        assert plainly[:4] == strictly[:4], data
    # The fast way is what makes it cheap to judge every run: it has to decide nearly all that JSON readers read.
    quick = {"", "header.duplicate-key", "unspecified.extra-field", *list(RULES)[8:]}
    assert len(quick & decided.keys()) >= 12
    for rule in quick:
        assert left[rule] * 10 <= decided[rule] + 10, rule
