"""The mutator as libFuzzer sees it: never raises, keeps to the size, repeats itself, learns."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.format.judge import judge
from harness.format.tree import DEEP, SOUND, Doc
from harness.mutate import OPERATORS, Mutator, Rng, generate
from harness.mutate.mutator import Base

SEEDS = [generate(Rng(seed)) for seed in range(12)]


@given(st.lists(st.tuples(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 2**32 - 1)), max_size=20))
def test_any_bytes_give_bytes_that_fit(calls: list[tuple[bytes, int, int]]) -> None:
    mutator = Mutator(SEEDS[:2])
    for data, room, seed in calls:
        out = mutator(data, room, seed)
        assert isinstance(out, bytes)
        assert len(out) <= room
    assert not any(stats.errors for stats in mutator.stats().values())


def test_equal_calls_in_equal_order_give_equal_outputs() -> None:
    first, second = Mutator(SEEDS), Mutator(SEEDS)
    a = [first(SEEDS[i % 12], 4096, i * 7919) for i in range(5000)]
    b = [second(SEEDS[i % 12], 4096, i * 7919) for i in range(5000)]
    assert a == b
    assert len(set(a)) > 1000
    assert first.stats() == second.stats()


_DIGEST = """
import hashlib
from harness.mutate import Mutator, Rng, generate
mutator, digest, base = Mutator([]), hashlib.sha1(), generate(Rng(1))
for seed in range(30_000):
    out = mutator(base, 4096, seed * 48271)
    digest.update(out)
    if seed % 50 == 0:
        base = out
print(digest.hexdigest())
"""


def test_another_process_with_another_hash_seed_gives_the_same_outputs() -> None:
    prints = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(prints) == 1


def test_an_output_that_comes_back_credits_the_operator_that_made_it_once() -> None:
    mutator = Mutator(SEEDS, disabled=OPERATORS.keys() - {"dtype.swap", "tensor.add"})
    out = mutator(SEEDS[3], 4096, 12345)
    assert not any(stats.kept for stats in mutator.stats().values())
    # Mutations are made in batches: before the next one, nobody looks at the base.
    for seed in range(200):
        mutator(out, 4096, seed)
    kept = {name: stats.kept for name, stats in mutator.stats().items()}
    swapped = len(Doc(out).tensors) == len(Doc(SEEDS[3]).tensors)
    assert kept == {"dtype.swap": int(swapped), "tensor.add": int(not swapped)}


def test_what_is_kept_is_used_more() -> None:
    mutator = Mutator(SEEDS)
    before = mutator.stats()["offsets.hole"].weight
    for seed in range(60_000):
        out = mutator(SEEDS[seed % 12], 4096, seed * 48271)
        # As if nothing else ever gave something new.
        if judge(out).rule == "layout.hole":
            mutator(out, 4096, seed)
    stats = mutator.stats()
    assert stats["offsets.hole"].kept > 0
    assert stats["offsets.hole"].weight > before
    assert stats["offsets.hole"].weight > stats["offsets.edge"].weight


def test_an_operator_that_raises_is_counted_passed_over_and_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(doc: Doc, rng: Rng) -> list[bytes]:
        raise RuntimeError("a defect")

    monkeypatch.setitem(OPERATORS, "dtype.swap", OPERATORS["dtype.swap"]._replace(apply=broken))
    mutator = Mutator(SEEDS)
    for seed in range(60_000):
        mutator(SEEDS[seed % 12], 4096, seed * 48271)
    stats = mutator.stats()["dtype.swap"]
    assert stats.errors >= 100
    assert stats.weight == 0
    assert stats.uses == 0


def test_memory_stays_bounded() -> None:
    mutator = Mutator(SEEDS)
    for seed in range(30_000):
        # Each base is a new one, as if everything was kept.
        mutator(generate(Rng(seed)), 4096, seed)
    held = len(mutator._young) + len(mutator._old)
    assert held <= 2 * 4096
    assert len(mutator._rng.bank.shapes.parts) <= 512
    assert len(mutator._made) < 2 * 65536


def test_expected_to_be_valid_mostly_is() -> None:
    mutator = Mutator(SEEDS)
    expected = []
    for seed in range(5000):
        out = mutator(SEEDS[seed % 12], 4096, seed * 48271)
        if mutator.expect_valid:
            expected.append(judge(out).verdict == "accept")
    assert len(expected) > 250
    assert sum(expected) > 0.9 * len(expected)


def test_half_of_all_gets_deep_and_a_seventh_is_accepted() -> None:
    """The measured aim of the whole: past JSON and every tensor's fields, as a lenient parser sees it."""
    mutator = Mutator(SEEDS)
    corpus, seen = list(SEEDS), set()
    deep = accepted = 0
    rng = Rng(5)
    count = 20_000
    for _ in range(count):
        out = mutator(rng.choice(corpus), 4096, rng.below(1 << 20) * 2039)
        health = Doc(out).health
        accepted += health == SOUND
        deep += health >= DEEP
        judgement = judge(out)
        feature = (judgement.rule, judgement.aspect, len(out) // 16)
        if feature not in seen:
            seen.add(feature)
            corpus.append(out)
    assert deep > 0.5 * count
    assert accepted > 0.15 * count


@pytest.mark.parametrize(
    ("header", "stand_ins"),
    [
        (b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1),
        (b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   ', 1),
        (b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}}', 1),
        (b' {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 5),
        (b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}\n', 5),
        (b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":0}}', 5),
        (
            b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}',
            5,
        ),
        (b'{"__metadata__":{"k":"","k":""},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 5),
        (b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}', 7),
        (b"", 7),
    ],
)
def test_the_worse_a_base_the_more_often_another_stands_in(header: bytes, stand_ins: int) -> None:
    assert Base(len(header).to_bytes(8, "little") + header + b"x").stand_ins == stand_ins


def test_unknown_and_all_disabled_are_refused() -> None:
    with pytest.raises(ValueError, match="no such operator: shape.none"):
        Mutator(SEEDS, disabled=["shape.none"])
    with pytest.raises(ValueError, match="every operator is disabled"):
        Mutator(SEEDS, disabled=OPERATORS)


def test_without_learning_all_operators_have_one_share() -> None:
    mutator = Mutator(SEEDS, learn=False)
    for number in range(20_000):
        mutator(SEEDS[number % len(SEEDS)], 4096, number)
    assert {stats.weight for stats in mutator.stats().values()} == {round(1 / len(OPERATORS), 4)}
