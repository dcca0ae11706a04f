"""The fast way through the judge beside the strict one, on what the mutator makes of valid files."""

from __future__ import annotations

import json
from collections import Counter
from itertools import permutations

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


def test_fast_and_strict_agree_in_any_order_of_fields() -> None:
    fields = {"dtype": '"F32"', "shape": "[2,1]", "data_offsets": "[0,8]"}
    seen = Counter[str]()
    for order in permutations(fields):
        pairs = [(f'"{name}"', fields[name]) for name in order]
        members = [f"{name}:{value}" for name, value in pairs]
        texts = ["{" + ",".join(members) + "}"]
        # As arrays of pairs, which Python's dict takes too; and with two fields of one name, in place of the third or not.
        texts.append("[" + ",".join(f"[{name},{value}]" for name, value in pairs) + "]")
        texts += ["{" + ",".join([*members[:2], again]) + "}" for again in members[:2]]
        texts += ["{" + ",".join([*members, again]) + "}" for again in members]
        for other in (
            "null",
            "[]",
            "{}",
            '"ab"',
            "[[0],[8]]",
            '{"0":0,"1":8}',
            "[0,8,8]",
            "[0,true]",
            "[8,0]",
            "[0,7]",
        ):
            texts += ["{" + ",".join(members).replace(value, other) + "}" for value in fields.values()]
        for text in texts:
            header = b'{"a":' + text.encode() + b"}"
            json.loads(header)
            data = len(header).to_bytes(8, "little") + header + bytes(8)
            plainly, strictly = judge_plainly(data, len(data)), judge_strictly(data, len(data))
            assert plainly is not None, text
            assert plainly[:4] == strictly[:4], text
            seen[strictly.rule] += 1
    assert seen[""] == 6
    assert {"header.duplicate-key", "tensor.fields", "tensor.dtype", "tensor.shape", "tensor.offsets"} <= seen.keys()
