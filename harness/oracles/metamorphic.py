"""Relations that need no specification: the same file in other words must be read the same.

The oracle writes an accepted file again in one plain spelling. Then it changes one thing at a time that must not matter,
and compares the parser's readings before and after. It asks no other reader of the format: a parser that fails here
contradicts itself.
"""

from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from harness.findings.finding import Finding, normalise
from harness.findings.rule import Case, Rule
from harness.findings.severity import DENIAL, STRICTNESS, WRONG_DATA, WRONG_EXCEPTION
from harness.format import encode
from harness.format.header import Header, Tensor
from harness.observation import ACCEPT, NOT_READ, PANIC, RAISE, REJECT, Observation, Reading, Run
from harness.oracles import reserialize
from harness.oracles.header_writer import FIELDS, Spelling, escaped, white_space, write
from harness.oracles.oracle import Execution, Reader, oracle

_ENDS = (
    Case("panicked:*", DENIAL, "The parser panics on other text for the content of a file that it accepts."),
    Case(
        "raised:*",
        WRONG_EXCEPTION,
        "An undocumented error meets other text for the content of a file that the parser accepts.",
    ),
)
RELATION = Rule(
    "metamorphic.*",
    "metamorphic",
    "differential",
    WRONG_DATA,
    title="The same content is read in two ways",
    why="Two texts with the same content are read in two ways. The parser contradicts itself, so one of the two answers is wrong.",
    should="both files read the same",
    check="relation",
    costly=True,
    cases=(*_ENDS, Case("refused:*", STRICTNESS)),
)


def _rewritten(name: str, check: str, should: str) -> Rule:
    return Rule(
        f"metamorphic.{name}",
        "metamorphic",
        "roundtrip",
        WRONG_DATA,
        title=f"The same content is read in two ways ({name})",
        why="The content of a file was read and written again. The new file is refused, or reads as something else.",
        should=should,
        check=check,
        costly=True,
        cases=_ENDS,
    )


#: Written by our encoder, and by the parser's own writer.
ENCODED = _rewritten("encoded-again", "relation", "both files read the same")
SERIALIZED = _rewritten(
    "serialized-again", "reserialized", "the library reads its own file as the content that it was given"
)


class Held(NamedTuple):
    """One tensor as read."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """The content that a run read, without the order in which a hash map happened to list it.

    ``order`` has the names by offset where the target reads them, without tensors of zero bytes, which share their place
    with others. ``partial`` are names that the target refused on their own.
    """

    tensors: Mapping[str, Held]
    partial: frozenset[str]
    metadata: object
    order: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Variant:
    """Another file, and how its content follows from that of the plain one."""

    data: bytes
    expect: Callable[[Content], Content]


class Source(NamedTuple):
    """The file in the form that relations vary: its tensors in the order of the header, metadata, and buffer."""

    tensors: tuple[Tensor, ...]
    metadata: dict[str, str] | None
    payload: bytes

    def spelt(self, **how: Any) -> bytes:
        """The file; ``how`` are the fields of :class:`Spelling` that differ from the plain one."""
        return write(self.tensors, self.metadata, self.payload, Spelling(**how))


Relation = Callable[[Source, random.Random], Iterator[Variant]]
RELATIONS: dict[str, Relation] = {}


def _relation(name: str) -> Callable[[Relation], Relation]:
    def register(relation: Relation) -> Relation:
        RELATIONS[name] = relation
        return relation

    return register


def same(content: Content) -> Content:
    """The variant reads as the file itself."""
    return content


@_relation("tensor-order")
def tensor_order(source: Source, rng: random.Random) -> Iterator[Variant]:
    """The members of the header in another order, their offsets as they were."""
    if len(source.tensors) > 1:
        shuffled = list(source.tensors)
        rng.shuffle(shuffled)
        for tensors in (source.tensors[::-1], tuple(shuffled)):
            yield Variant(source._replace(tensors=tensors).spelt(), same)


@_relation("field-order")
def field_order(source: Source, rng: random.Random) -> Iterator[Variant]:
    """``dtype``, ``shape`` and ``data_offsets`` in each of the other five orders."""
    if source.tensors:
        for fields in list(itertools.permutations(FIELDS))[1:]:
            yield Variant(source.spelt(fields=fields), same)


@_relation("metadata-order")
def metadata_order(source: Source, rng: random.Random) -> Iterator[Variant]:
    """The entries of ``__metadata__`` the other way round."""
    if source.metadata and len(source.metadata) > 1:
        entries = dict(reversed(source.metadata.items()))
        yield Variant(source._replace(metadata=entries).spelt(), same)


@_relation("metadata-place")
def metadata_place(source: Source, rng: random.Random) -> Iterator[Variant]:
    """``__metadata__`` after the first tensor, and after all of them."""
    if source.metadata is not None and source.tensors:
        for place in {1, len(source.tensors)}:
            yield Variant(source.spelt(metadata_at=place), same)


@_relation("white-space")
def spaces(source: Source, rng: random.Random) -> Iterator[Variant]:
    """White space between the tokens of the JSON."""
    yield Variant(source.spelt(space=white_space(rng)), same)


@_relation("padding")
def padding(source: Source, rng: random.Random) -> Iterator[Variant]:
    """Spaces after the JSON: to the next multiple of 8, as writers do, and one more than that."""
    missing = -(len(source.spelt()) - len(source.payload)) % 8
    for pad in (missing, missing + 1):
        yield Variant(source.spelt(pad=pad), same)


def _escapes(where: str) -> Relation:
    def relation(source: Source, rng: random.Random) -> Iterator[Variant]:
        if source.tensors:
            yield Variant(source.spelt(**{where: escaped(rng)}), same)

    return relation


RELATIONS["escape-name"] = _escapes("name")
RELATIONS["escape-field"] = _escapes("word")
RELATIONS["escape-dtype"] = _escapes("dtype")


@_relation("escape-metadata")
def escape_metadata(source: Source, rng: random.Random) -> Iterator[Variant]:
    """Escapes in the keys and values of the metadata."""
    if source.metadata:
        yield Variant(source.spelt(entry=escaped(rng)), same)


@_relation("escape-metadata-word")
def escape_metadata_word(source: Source, rng: random.Random) -> Iterator[Variant]:
    """Escapes in the word ``__metadata__`` itself."""
    if source.metadata is not None:
        yield Variant(source.spelt(metadata_word=escaped(rng)), same)


@_relation("one-more-tensor")
def one_more(source: Source, rng: random.Random) -> Iterator[Variant]:
    """A tensor of a few bytes, and one of none, behind all others."""
    end = max((tensor.end for tensor in source.tensors), default=0)
    if end != len(source.payload):
        return
    taken = {tensor.name for tensor in source.tensors} | {"__metadata__"}
    name = next(name for name in map("more{}".format, itertools.count()) if name not in taken)
    for extra in (rng.randbytes(rng.randrange(1, 9)), b""):
        tensor = Tensor(name, "U8", (len(extra),), end, end + len(extra))
        more = Source((*source.tensors, tensor), source.metadata, source.payload + extra)
        yield Variant(more.spelt(), _added(name, extra))


def _added(name: str, extra: bytes) -> Callable[[Content], Content]:
    def expect(content: Content) -> Content:
        tensors = {**content.tensors, name: Held("U8", (len(extra),), extra)}
        order = content.order if content.order is None or not extra else (*content.order, name)
        return replace(content, tensors=tensors, order=order)

    return expect


@_relation("one-more-entry")
def one_more_entry(source: Source, rng: random.Random) -> Iterator[Variant]:
    """Another entry in the metadata, or a metadata with one entry where there was none."""
    entries = dict(source.metadata or {})
    key = next(key for key in map("more{}".format, itertools.count()) if key not in entries)
    entries[key] = "an entry"

    def expect(content: Content) -> Content:
        return content if content.metadata is NOT_READ else replace(content, metadata=entries)

    yield Variant(source._replace(metadata=entries).spelt(), expect)


@_relation("dimension-order")
def dimension_order(source: Source, rng: random.Random) -> Iterator[Variant]:
    """The same dimensions in another order: as many elements, so as many bytes.

    Not of F4, of which frameworks keep two elements in one, along the last dimension.
    """
    orders: tuple[Callable[[tuple[int, ...]], tuple[int, ...]], ...] = (
        lambda shape: shape[::-1],
        lambda shape: tuple(sorted(shape)),
        lambda shape: tuple(sorted(shape, reverse=True)),
    )
    seen = {tuple(tensor.shape for tensor in source.tensors)}
    for order in orders:
        shapes = {t.name: t.shape if t.dtype == "F4" else order(t.shape) for t in source.tensors}
        if tuple(shapes.values()) in seen:
            continue
        seen.add(tuple(shapes.values()))
        tensors = tuple(tensor._replace(shape=shapes[tensor.name]) for tensor in source.tensors)
        yield Variant(source._replace(tensors=tensors).spelt(), _reshaped(shapes))


def _reshaped(shapes: Mapping[str, tuple[int, ...]]) -> Callable[[Content], Content]:
    def expect(content: Content) -> Content:
        tensors = {name: held._replace(shape=shapes[name]) for name, held in content.tensors.items()}
        return replace(content, tensors=tensors)

    return expect


class Contradiction(NamedTuple):
    """A finding with the other file that it speaks of (empty where the parser's writer made none)."""

    finding: Finding
    variant: bytes


@oracle(RELATION, ENCODED, SERIALIZED)
def check(execution: Execution) -> list[Finding]:
    """Every relation on one accepted file: about thirty further runs, so for what is kept, not for every input.

    Nothing is asked of refused files, nor of those that the judge refuses: their header is not understood.
    """
    found = contradictions(execution)
    execution.variants |= {one.finding: one.variant for one in found if one.variant}
    return [one.finding for one in found]


def contradictions(execution: Execution, seed: int = 0) -> list[Contradiction]:
    """The findings of :func:`check`, each with the other file.

    The result repeats: its random choices come from ``seed`` and the input alone.
    """
    data, judgement, run, target = execution.data, execution.judgement, execution.run, execution.target
    if judgement is None:
        return []
    assert run is not None
    assert target is not None
    observation = execution.observation
    header = judgement.header
    if header is None or judgement.verdict == "reject":
        return []
    eyes = _Eyes(target, run, frozenset(tensor.name for tensor in header.tensors if tensor.begin == tensor.end))
    before = eyes.content(observation)
    if before is None:
        return []
    found = eyes.compare(RELATION.member("same-bytes"), before, data)
    source = Source(header.tensors, header.metadata, data[8 + header.size :])
    plain = source.spelt()
    broken = eyes.compare(RELATION.member("respelt"), before, plain)
    if not broken:
        # Where the plain spelling fails already, each relation would only find the same again.
        rng = random.Random(zlib.crc32(data) ^ seed)
        for name, relation in RELATIONS.items():
            for variant in relation(source, rng):
                wrong = eyes.compare(RELATION.member(name), variant.expect(before), variant.data)
                if wrong:
                    found += wrong
                    break
    return found + broken + _round_trips(before, header, eyes)


def _round_trips(before: Content, header: Header, eyes: _Eyes) -> list[Contradiction]:
    """Contradictions of the content, encoded again by our encoder, and by the parser's own writer where it can write all."""
    if before.partial:
        return []
    parts = [(name, held.dtype, held.shape, held.data) for name, held in sorted(before.tensors.items())]
    metadata = header.metadata if before.metadata is NOT_READ else before.metadata
    assert metadata is None or isinstance(metadata, dict)
    expected = replace(before, order=None)
    found = eyes.compare(ENCODED, expected, encode.pack(parts, metadata))
    written = reserialize.serialize(parts, metadata)
    if isinstance(written, bytes):
        found += eyes.compare(SERIALIZED, expected, written)
    elif written is not None:
        found.append(Contradiction(_failed(SERIALIZED, written), b""))
    return found


@dataclass(frozen=True, slots=True)
class _Eyes:
    """One target as it reads: ``empty`` are the names of tensors of zero bytes, which may stand in any order."""

    target: Reader
    run: Run
    empty: frozenset[str]

    def content(self, observation: Observation) -> Content | None:
        """The content that a run read; also of a run that read most of a file and then failed on a tensor."""
        outcome, _, value = observation
        if outcome != ACCEPT and not isinstance(value, Reading):
            return None
        reading = self.target.reading(value)
        tensors = {
            name: Held(entry["dtype"], tuple(entry["shape"]), bytes(entry["data"])) for name, entry in reading.tensors
        }
        order = None
        if reading.offset_keys is not None:
            order = tuple(key for key in reading.offset_keys if key not in self.empty and tensors.get(key, _SOLID).data)
        return Content(tensors, frozenset(reading.partial or ()), reading.metadata, order)

    def compare(self, rule: Rule, expected: Content, data: bytes) -> list[Contradiction]:
        """The finding on a file that reads otherwise than ``expected``, if it does."""
        observation = self.run(data)
        got = self.content(observation)
        if got is None:
            return [Contradiction(_failed(rule, observation), data)]
        difference = _difference(expected, got)
        if not difference:
            return []
        summary = f"{_relation_of(rule)}: reads with other {difference} than the file that it was made from"
        return [Contradiction(Finding(rule, difference, summary), data)]


def _relation_of(rule: Rule) -> str:
    return rule.name.partition(".")[2]


# Stands for a tensor that was not read: it may have bytes.
_SOLID = Held("", (), b"?")


def _failed(rule: Rule, observation: Observation) -> Finding:
    outcome, error, _ = observation
    words = {REJECT: "refused", RAISE: "raised", PANIC: "panicked"}[outcome]
    summary = f"{_relation_of(rule)}: {words}, while the file that it was made from is accepted: {error[:200]}"
    kind = {PANIC: "panic", RAISE: "contract"}.get(outcome, rule.kind)
    return Finding(rule, f"{words}:{normalise(error)}", summary, kind)


def _difference(expected: Content, got: Content) -> str:
    """The first thing that differs, in one word; "" when nothing does."""
    if expected.tensors.keys() != got.tensors.keys() or expected.partial != got.partial:
        return "names"
    for name, held in expected.tensors.items():
        other = got.tensors[name]
        if held != other:
            return "dtype" if held.dtype != other.dtype else "shape" if held.shape != other.shape else "bytes"
    if expected.metadata != got.metadata:
        return "metadata"
    return "order" if expected.order is not None and got.order is not None and expected.order != got.order else ""
