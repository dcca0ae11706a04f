"""The generator makes valid files, and they spread over the whole format."""

from __future__ import annotations

from harness.format.dtypes import DTYPE_BITS
from harness.format.header import Header
from harness.format.judge import judge
from harness.mutate import Rng, generate


def generated(count: int) -> list[tuple[bytes, Header]]:
    rng = Rng(0)
    files = []
    for seed in range(count):
        rng.reset(seed)
        data = generate(rng)
        judgement = judge(data)
        assert judgement.verdict == "accept", (seed, judgement.rule, judgement.detail)
        assert judgement.header is not None
        files.append((data, judgement.header))
    return files


def test_every_generated_file_is_valid_and_together_they_cover_the_format() -> None:
    files = generated(300)
    tensors = [tensor for _, header in files for tensor in header.tensors]
    assert {tensor.dtype for tensor in tensors} == set(DTYPE_BITS)
    assert {len(tensor.shape) for tensor in tensors} >= set(range(6))
    assert any(0 in tensor.shape for tensor in tensors)
    assert any(not header.tensors for _, header in files)
    assert {header.metadata is None for _, header in files} == {True, False}
    texts = [data[8 : 8 + header.size] for data, header in files]
    assert any(b"\\u" in text for text in texts)
    assert any(text.endswith(b" ") for text in texts)
    assert any(not text.isascii() for text in texts)
    # Some headers list their tensors in another order than the buffer holds them.
    begins = [[tensor.begin for tensor in header.tensors] for _, header in files]
    assert any(places != sorted(places) for places in begins)


def test_the_same_seed_makes_the_same_file() -> None:
    assert generated(30) == generated(30)
