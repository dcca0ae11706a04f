"""Inputs that hosts share: credit, batches by time, and content that is refused."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.corpus_store import MAX_SEED, sha1
from harness.store.objects import Objects
from harness.store.shared_corpus import BATCH, SharedCorpus

PARSER = "ab" * 32


@pytest.fixture
def mine(objects: Objects) -> SharedCorpus:
    return SharedCorpus(objects, "deserialize", PARSER)


def named(*contents: bytes) -> dict[str, bytes]:
    return {sha1(data): data for data in contents}


def other(objects: Objects) -> SharedCorpus:
    return SharedCorpus(objects, "deserialize", PARSER)


def test_one_host_gets_the_credit_for_an_input(objects: Objects, mine: SharedCorpus) -> None:
    first, second = named(b"a", b"b"), named(b"b", b"c")
    assert mine.push(first, "one") == first.keys()
    assert other(objects).push(second, "two") == named(b"c").keys()


def test_hosts_that_push_at_once_share_the_credit_out(objects: Objects) -> None:
    inputs = named(*(bytes([number]) for number in range(40)))
    with ThreadPoolExecutor(4) as pool:
        created = list(pool.map(lambda host: other(objects).push(inputs, f"host-{host}"), range(4)))
    assert sum(map(len, created)) == len(inputs)
    assert frozenset().union(*created) == inputs.keys()


def test_a_reader_gets_what_others_pushed_once(objects: Objects, mine: SharedCorpus) -> None:
    reader = other(objects)
    mine.push(named(b"a", b"b"), "one")
    assert reader.fresh() == named(b"a", b"b").keys()
    assert reader.fresh() == set()
    mine.push(named(b"c"), "one")
    assert reader.fresh() == named(b"c").keys()
    # Its own inputs are no news.
    reader.push(named(b"d"), "two")
    assert reader.fresh() == set()
    assert mine.fresh() == named(b"d").keys()
    assert dict(reader.fetch(sorted(named(b"a", b"c")))) == named(b"a", b"c")


def test_a_reader_that_knows_a_position_reads_no_older_batch(objects: Objects, mine: SharedCorpus) -> None:
    old = f"manifest/deserialize/{PARSER}/{time.time_ns() - 10**12:020d}-one-00000000.json"
    objects.create(old, json.dumps(sorted(named(b"old"))).encode())
    mine.push(named(b"new"), "one")
    assert mine.fresh() == named(b"old").keys()
    later = SharedCorpus(objects, "deserialize", PARSER, mine.position)
    before = objects.requests["get"]
    assert later.fresh() == named(b"new").keys()
    assert objects.requests["get"] == before + 1


def test_a_batch_that_arrives_late_is_read(objects: Objects, mine: SharedCorpus) -> None:
    mine.push(named(b"a"), "one")
    reader = other(objects)
    reader.fresh()
    # The clock of its host is a minute behind.
    late = f"manifest/deserialize/{PARSER}/{time.time_ns() - 60 * 10**9:020d}-two-00000000.json"
    objects.create(late, json.dumps(sorted(named(b"b"))).encode())
    assert reader.fresh() == named(b"b").keys()


def test_many_inputs_go_into_several_batches(objects: Objects, mine: SharedCorpus) -> None:
    inputs = named(*(str(number).encode() for number in range(BATCH + 1)))
    mine.push(inputs, "one")
    assert len(objects.list(f"manifest/deserialize/{PARSER}")) == 2
    assert other(objects).fresh() == inputs.keys()


def test_inputs_of_a_host_that_was_killed_before_its_batch_are_adopted(objects: Objects, mine: SharedCorpus) -> None:
    mine.push(named(b"a"), "one")
    objects.create(f"corpus/deserialize/{sha1(b'left')}", b"left")
    starter, reader = other(objects), other(objects)
    reader.fresh()
    assert starter.adopt(starter.fresh(), "two") == named(b"left").keys()
    assert reader.fresh() == named(b"left").keys()


def test_hostile_inputs_are_refused_one_by_one(objects: Objects, mine: SharedCorpus) -> None:
    mine.push(named(b"good"), "one")
    lie, huge = sha1(b"lie"), sha1(b"huge")
    objects.create(f"corpus/deserialize/{lie}", b"something else")
    objects.create(f"corpus/deserialize/{huge}", b"x" * (MAX_SEED + 1))
    mine.announce([lie, huge], "evil")
    reader = other(objects)
    assert dict(reader.fetch(sorted(reader.fresh()))) == named(b"good")
    assert objects.refused.named == {
        f"corpus/deserialize/{lie}": "content does not match its name",
        f"corpus/deserialize/{huge}": f"larger than {MAX_SEED} bytes",
    }


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}", b'["../../etc/passwd"]', b"[1]", json.dumps(["a" * 40] * (BATCH + 1)).encode(), b"[" * 9999],
)
def test_hostile_batches_are_refused_one_by_one(objects: Objects, mine: SharedCorpus, content: bytes) -> None:
    mine.push(named(b"good"), "one")
    path = f"manifest/deserialize/{PARSER}/{time.time_ns():020d}-evil-00000000.json"
    objects.create(path, content)
    assert other(objects).fresh() == named(b"good").keys()
    assert list(objects.refused.named) == [path]


def test_a_batch_of_the_far_future_hides_none(objects: Objects, mine: SharedCorpus) -> None:
    objects.create(f"manifest/deserialize/{PARSER}/{9 * 10**19:020d}-evil-00000000.json", b"[]")
    reader = other(objects)
    assert reader.fresh() == set()
    mine.push(named(b"good"), "one")
    assert reader.fresh() == named(b"good").keys()
    assert sum(objects.refused.counts.values()) == 1


def test_pruning_deletes_what_it_has_seen_and_no_more(objects: Objects, mine: SharedCorpus) -> None:
    mine.push(named(b"a", b"b", b"c"), "one")
    pruner, host = other(objects), other(objects)
    host.fresh()
    assert pruner.whole("pruner") == named(b"a", b"b", b"c").keys()
    # A host stores one more while the inputs are judged.
    mine.push(named(b"later"), "one")
    pruner.prune(named(b"b").keys(), named(b"a", b"c"), "pruner")
    left = named(b"a", b"c", b"later").keys()
    assert {entry.name for entry in objects.list("corpus/deserialize")} == left
    assert other(objects).fresh() == left
    assert len(objects.list(f"manifest/deserialize/{PARSER}")) == 2
    # A host that runs learns of the later one, and misses nothing.
    assert host.fresh() >= named(b"later").keys()
    # Twice is as good as once.
    pruner.prune(named(b"b").keys(), named(b"a", b"c"), "pruner")
    assert other(objects).fresh() == left


def test_two_prunings_at_once_keep_the_choice_of_the_last_one(objects: Objects, mine: SharedCorpus) -> None:
    mine.push(named(b"a", b"b"), "one")
    first, last = other(objects), other(objects)
    assert first.whole("first") == last.whole("last") == named(b"a", b"b").keys()
    first.prune(named(b"b").keys(), named(b"a"), "first")
    last.prune(named(b"a").keys(), named(b"b"), "last")
    reader = other(objects)
    assert dict(reader.fetch(sorted(reader.fresh()))) == named(b"b")
