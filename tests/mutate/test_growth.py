"""Families that grow in one thing: what they hold is valid, and as large as they say."""

from __future__ import annotations

import itertools

import pytest

from harness.format.judge import judge
from harness.mutate.growth import FAMILIES, REFUSED


@pytest.mark.parametrize("family", FAMILIES)
def test_members_are_valid_unless_they_are_meant_not_to_be(family: str):
    for n in FAMILIES[family].sizes:
        grown = FAMILIES[family].make(n)
        judgement = judge(grown.data)
        assert judgement.verdict == ("reject" if family in REFUSED else "accept"), judgement.detail
        if judgement.header is not None:
            names = {tensor.name: tensor for tensor in judgement.header.tensors}
            assert grown.parts["tensor"] == names[grown.name].end - names[grown.name].begin
        assert grown.parts["header"] + grown.parts["buffer"] == len(grown.data)


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_double_and_one_part_at_most_grows_with_them(family: str):
    sizes = FAMILIES[family].sizes
    assert [b / a for a, b in itertools.pairwise(sizes)] == [2] * (len(sizes) - 1)
    first, last = (FAMILIES[family].make(n).parts for n in (sizes[0], sizes[-1]))
    grown = {part for part in first if last[part] > 1.5 * max(first[part], 16)}
    assert grown <= {
        "tensors": {"header", "names", "buffer"},
        "reversed": {"header", "names", "buffer"},
        "empties": {"header", "names"},
        "name": {"header", "names", "entry"},
        "escapes": {"header", "names", "entry"},
        "rank": {"header", "entry"},
        "metadata": {"header", "metadata"},
        "value": {"header", "metadata"},
        "buffer": {"tensor", "buffer"},
        "rows": {"tensor", "buffer"},
        "other-data": {"buffer"},
        "empty-rows": set(),
    }.get(family, {"header"})
