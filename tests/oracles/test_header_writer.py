from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.format.header import Tensor
from harness.format.judge import judge
from harness.oracles.header_writer import FIELDS, Spelling, escaped, plain, white_space, write

TENSORS = (Tensor("a/\U0001f600", "F32", (1, 2), 0, 8), Tensor('"\\\n', "U8", (), 8, 9), Tensor("", "I64", (0,), 9, 9))
METADATA = {"k\u00e9y": "va\tlue", "": ""}
PAYLOAD = b"123456789"


@given(st.text(), st.integers())
def test_strings_mean_what_they_meant(text: str, seed: int):
    for spelt in (plain(text), escaped(random.Random(seed))(text)):
        assert json.loads(spelt) == text


@given(st.text(min_size=1, max_size=20), st.integers())
def test_at_least_one_character_is_escaped(text: str, seed: int):
    spelt = escaped(random.Random(seed))(text)
    assert "\\u" in spelt or "\\/" in spelt


def test_characters_beyond_the_basic_plane_become_pairs_in_either_case():
    spelt = {escaped(random.Random(seed))("\U0001f600") for seed in range(40)}
    assert spelt == {'"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\ud83d\\uDE00"', '"\\uD83D\\ude00"'}


def test_a_lone_surrogate_keeps_its_escape():
    assert plain("é\ud800") == '"\\u00e9\\ud800"'
    assert plain("é") == '"é"'


def test_white_space_is_json_s_own_and_not_everywhere():
    space = white_space(random.Random(1))
    seen = {space() for _ in range(500)}
    assert seen == {"", " ", "\t", "\n", "\r", "  ", " \n\t"}


ESCAPED = escaped(random.Random(3))
SPELLINGS = {
    "plain": Spelling(),
    "fields": Spelling(fields=FIELDS[::-1]),
    "metadata last": Spelling(metadata_at=9),
    "padded": Spelling(pad=3),
    "white": Spelling(space=white_space(random.Random(2))),
    "escaped": Spelling(name=ESCAPED, word=ESCAPED, dtype=ESCAPED, metadata_word=ESCAPED, entry=ESCAPED),
}


@pytest.mark.parametrize("how", SPELLINGS)
def test_the_judge_reads_the_same_from_every_spelling(how: str):
    data = write(TENSORS, METADATA, PAYLOAD, SPELLINGS[how])
    judgement = judge(data)
    assert judgement.verdict == "accept", judgement.detail
    assert judgement.header is not None
    assert (judgement.header.tensors, judgement.header.metadata) == (TENSORS, METADATA)


def test_spellings_differ_and_the_plain_one_is_the_shortest():
    files = [write(TENSORS, METADATA, PAYLOAD, how) for how in SPELLINGS.values()]
    assert len(set(files)) == len(files)
    assert min(files, key=len) in (files[0], files[1], files[2])


def test_nothing_at_all_is_a_header_too():
    assert write((), None, b"", Spelling()) == b"\2\0\0\0\0\0\0\0{}"
    assert write((), {}, b"", Spelling())[8:] == b'{"__metadata__":{}}'
