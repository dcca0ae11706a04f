"""What each operator does, by its name: the rule it makes a sound file break, or what it changes in one that stays sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.format.header import Header
from harness.format.judge import judge
from harness.format.tree import DEEP, Doc
from harness.mutate import OPERATORS, Rng, generate
from harness.mutate.bank import Bank
from harness.mutate.resemblance import resembling

BANK = Bank()
DOCS = [Doc(generate(Rng(seed))) for seed in range(150)]
for _doc in DOCS:
    BANK.learn(_doc)


def outputs(name: str, docs: list[Doc] = DOCS) -> list[tuple[Doc, bytes]]:
    """What the operator makes of sound files, with the file that each was made of."""
    operator, rng = OPERATORS[name], Rng(0, BANK)
    found = []
    for seed, doc in enumerate(docs):
        if len(doc.tensors) >= operator.tensors:
            rng.reset(seed)
            found += [(doc, out) for out in operator.apply(doc, rng)]
    return found


# The rules that an operator's outputs break, "" for none: each of ``must`` is broken by some, and no other by any unless
# it is in ``may``. (Some outputs break nothing: a truncated buffer of no bytes, a spelling that is another valid one.)
BREAKS: dict[str, tuple[set[str], set[str]]] = {
    "alike.field": ({"tensor.size"}, {"", "tensor.sub-byte"}),
    "alike.offsets": (
        {"tensor.size", "layout.overlap"},
        {"", "tensor.offsets", "layout.hole", "layout.truncated", "unspecified.empty-tensor-offset"},
    ),
    "buffer.longer": ({"layout.trailing"}, set()),
    "buffer.shorter": ({"layout.truncated"}, set()),
    "cross.shape": ({"tensor.size"}, {"", "tensor.sub-byte"}),
    "dtype.form": ({"tensor.dtype"}, set()),
    "dtype.swap": ({"tensor.size"}, {"", "tensor.sub-byte"}),
    "dtype.unknown": ({"tensor.dtype"}, {"header.json"}),
    "encoding.bom": ({"header.utf8", "header.first-byte"}, {"header.padding", "header.json"}),
    "encoding.utf8": ({"header.utf8"}, set()),
    "field.array-form": ({"tensor.fields"}, set()),
    "field.duplicate": ({"header.duplicate-key"}, set()),
    "field.extra": ({"unspecified.extra-field"}, {"header.json"}),
    "field.missing": ({"tensor.fields"}, set()),
    "framing.limit": ({"framing.header-limit", "framing.header-truncated"}, set()),
    "metadata.duplicate": ({"header.duplicate-key"}, set()),
    "metadata.type": ({"metadata.strings"}, set()),
    "offsets.edge": (
        {"tensor.size", "tensor.offsets", "layout.hole"},
        # A tensor of no bytes may lie wherever another one ends.
        {"", "layout.truncated", "layout.overlap", "unspecified.empty-tensor-offset"},
    ),
    "offsets.equal": ({"layout.overlap"}, {""}),
    "offsets.hole": ({"layout.hole"}, {"layout.trailing"}),
    "offsets.overlap": ({"layout.overlap"}, {"layout.truncated"}),
    "offsets.swap": ({"tensor.offsets", "tensor.size"}, {""}),
    "offsets.wrap": ({"layout.hole"}, {"layout.truncated", "tensor.offsets"}),
    "shape.edit": ({"tensor.size"}, {"", "tensor.sub-byte", "unspecified.huge-dimension"}),
    "shape.overflow": ({"tensor.size"}, {""}),
    "shape.wrap": ({"tensor.size", ""}, set()),
    "space.leading": ({"header.first-byte"}, set()),
    "space.padding-other": ({"header.padding"}, set()),
    "syntax.comma": ({"header.json"}, set()),
    "syntax.duplicate-key": ({"header.duplicate-key"}, set()),
}

# Operators whose outputs break many rules: those that some of them must break, nothing said of the rest.
REACHES: dict[str, set[str]] = {
    "buffer.border": {"header.padding", "layout.truncated", "header.json"},
    "encoding.stray": {"header.json"},
    "encoding.surrogate": {"unspecified.lone-surrogate"},
    "field.type": {"tensor.offsets", "tensor.shape", "tensor.dtype", "metadata.strings"},
    "framing.near": {"framing.header-truncated", "header.padding", "header.json"},
    "raw.file": {"header.json", "header.utf8"},
    "syntax.after": {"header.json", "header.padding"},
    "syntax.mark": {"header.json"},
    "syntax.nesting": {"tensor.offsets", "tensor.shape", "tensor.dtype"},
    "syntax.number": {"header.json", "tensor.size", "tensor.offsets", "unspecified.integer-form"},
}


@pytest.mark.parametrize("name", BREAKS)
def test_it_breaks_its_rule_and_no_other(name: str) -> None:
    must, may = BREAKS[name]
    broken = {judge(out).rule for _, out in outputs(name)}
    assert must <= broken
    assert broken <= must | may


@pytest.mark.parametrize("name", REACHES)
def test_it_reaches_its_rules(name: str) -> None:
    assert REACHES[name] <= {judge(out).rule for _, out in outputs(name)}


Fact = Callable[[Header, Header, bytes, bytes], bool]


def parts(header: Header, data: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {t.name: (t.dtype, t.shape, header.payload(data, t)) for t in header.tensors}


def same_text(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    """Names, dtypes, shapes, offsets, metadata and their order are what they were."""
    return old.tensors == new.tensors and old.metadata == new.metadata


def one_differs(old: Header, new: Header) -> tuple[int, bool]:
    """How many tensors have another dtype or shape, and whether all names stand where they stood."""
    pairs = list(zip(old.tensors, new.tensors, strict=True))
    return sum(a[1:3] != b[1:3] for a, b in pairs), all(a.name == b.name for a, b in pairs)


def retyped(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    count, named = one_differs(old, new)
    return count <= 1 and named and old.metadata == new.metadata


def dtype_only(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    shapes = [t.shape for t in old.tensors] == [t.shape for t in new.tensors]
    return retyped(old, new, before, after) and shapes


def shape_only(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    dtypes = [t.dtype for t in old.tensors] == [t.dtype for t in new.tensors]
    return retyped(old, new, before, after) and dtypes


def shape_alone(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    """Another shape, the same offsets and bytes."""
    offsets = [t[3:] for t in old.tensors] == [t[3:] for t in new.tensors]
    return shape_only(old, new, before, after) and offsets


def emptied(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    zeros = [sum(0 in t.shape for t in header.tensors) for header in (old, new)]
    return shape_only(old, new, before, after) and zeros[1] - zeros[0] in (0, 1) and zeros[1] > 0


def more(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    """Every old tensor is there with its shape and as many bytes, and something else too."""
    known = {t.name: (t.dtype, t.shape, t.end - t.begin) for t in new.tensors}
    kept = all(known.get(t.name) == (t.dtype, t.shape, t.end - t.begin) for t in old.tensors)
    return kept and len(new.tensors) > len(old.tensors)


def one_more(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    return more(old, new, before, after) and len(new.tensors) == len(old.tensors) + 1


def one_less(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    left, had = parts(new, after), parts(old, before)
    return len(left) == len(had) - 1 and left.items() <= had.items()


def reordered(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    """The same tensors at the same places of the buffer, perhaps in another order of the text."""
    return sorted(old.tensors) == sorted(new.tensors) and old.metadata == new.metadata


def few(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    kinds = {(t.name, t.dtype, t.shape) for t in old.tensors}
    return {(t.name, t.dtype, t.shape) for t in new.tensors} <= kinds and 1 <= len(new.tensors) <= 3


def renamed(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    """One name is another one, and nothing else."""
    same = [a[1:] for a in old.tensors] == [b[1:] for b in new.tensors]
    changed = [a.name for a, b in zip(old.tensors, new.tensors, strict=True) if a.name != b.name]
    return same and len(changed) <= 1 and old.metadata == new.metadata


def twin(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    """One tensor more, of the dtype and shape of an old one, whose name its name resembles."""
    names = {t.name for t in old.tensors}
    (added,) = [t for t in new.tensors if t.name not in names]
    models = [t for t in old.tensors if added.name in resembling(t.name)]
    return one_more(old, new, before, after) and added[1:3] in {t[1:3] for t in models}


def matched(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    """A tensor has the dtype and shape of another one."""
    changed = [b[1:3] for a, b in zip(old.tensors, new.tensors, strict=True) if a[1:3] != b[1:3]]
    return retyped(old, new, before, after) and all(kind in {t[1:3] for t in old.tensors} for kind in changed)


def other_bytes(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    """The bytes of one tensor are others; the header is the same."""
    start = 8 + old.size
    changed = [name for name, part in parts(new, after).items() if part != parts(old, before)[name]]
    return before[:start] == after[:start] and len(after) == len(before) and len(changed) <= 1


def more_metadata(old: Header, new: Header, before: bytes, after: bytes) -> bool:
    """One entry more, and the same tensors."""
    had, have = (header.metadata or {} for header in (old, new))
    return old.tensors == new.tensors and had.items() <= have.items() and len(have) == len(had) + 1


# For operators that keep a sound file sound: what has changed and what has not.
KEEPS: dict[str, Fact] = {
    "alike.convention": more_metadata,
    "alike.data": other_bytes,
    "alike.kind": matched,
    "alike.metadata": more_metadata,
    "alike.name": renamed,
    "alike.tensor": twin,
    "cross.tensor": one_more,
    "dtype.consistent": dtype_only,
    "encoding.escape": same_text,
    "shape.kind": retyped,
    "shape.same-size": shape_alone,
    "shape.zero": emptied,
    "space.inside": same_text,
    "tensor.add": one_more,
    "tensor.few": few,
    "tensor.permute": reordered,
    "tensor.remove": one_less,
}


@pytest.mark.parametrize("name", KEEPS)
def test_it_keeps_a_sound_file_sound_and_changes_what_it_says(name: str) -> None:
    rules: Counter[str] = Counter()
    for doc, out in outputs(name):
        judgement = judge(out)
        rules[judgement.rule] += 1
        if judgement.verdict == "accept":
            old = judge(doc.data).header
            assert old is not None
            assert judgement.header is not None
            assert KEEPS[name](old, judgement.header, doc.data, out), (doc.data, out)
    # A new name may be there already, white space may fall behind the last brace.
    assert rules.keys() <= {"", "header.duplicate-key", "header.padding"}
    assert rules[""] >= 0.9 * rules.total()


def test_every_operator_is_held_to_what_it_does() -> None:
    families = {name: op.family for name, op in OPERATORS.items()}
    assert sorted([*BREAKS, *REACHES, *KEEPS]) == sorted(families)
    assert {name for name, family in families.items() if family == "sound"} == KEEPS.keys()


# Only a reader that takes more than the format allows gets past these two.
FORMS = {"dtype.form", "field.array-form"}


@pytest.mark.parametrize("name", [name for name, op in OPERATORS.items() if op.family == "deep" and name not in FORMS])
def test_a_deep_one_gets_past_the_fields_of_every_tensor(name: str) -> None:
    reads = [Doc(out).health >= DEEP for _, out in outputs(name)]
    assert sum(reads) > 0.5 * len(reads)


def test_forms_are_what_lenient_readers_take_for_a_tensor_or_a_dtype() -> None:
    for doc, out in outputs("field.array-form"):
        assert out[8 : Doc(out).end].count(b'"data_offsets"') == doc.data[8 : doc.end].count(b'"data_offsets"') - 1
    assert any(b'"dtype":{"F32":null}' in out for _, out in outputs("dtype.form"))


@pytest.mark.parametrize("name", OPERATORS)
def test_it_says_what_it_does(name: str) -> None:
    operator = OPERATORS[name]
    assert operator.summary.endswith(".")
    assert 20 < len(operator.summary) < 120
    group, _, rest = name.partition(".")
    assert group.isalpha()
    assert rest


@pytest.mark.parametrize("name", OPERATORS)
def test_equal_seeds_give_equal_outputs(name: str) -> None:
    assert outputs(name, DOCS[:40]) == outputs(name, DOCS[:40])


@given(st.binary(max_size=300), st.integers(0, 2**31), st.booleans())
def test_no_operator_stumbles_over_any_bytes(data: bytes, seed: int, framed: bool) -> None:
    doc = Doc(len(data).to_bytes(8, "little") + data + b"tail" if framed else data)
    for name, operator in OPERATORS.items():
        if len(doc.tensors) >= operator.tensors:
            outs = operator.apply(doc, Rng(seed, BANK))
            assert all(isinstance(out, bytes) for out in outs), name


@given(st.integers(0, 149), st.integers(0, 2**31), st.data())
def test_no_operator_stumbles_over_damaged_files(which: int, seed: int, data: st.DataObject) -> None:
    raw = bytearray(DOCS[which].data)
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.sampled_from(b'"{}[],:\\0\x00 a\xff'))
    doc = Doc(bytes(raw))
    for name, operator in OPERATORS.items():
        if len(doc.tensors) >= operator.tensors:
            outs = operator.apply(doc, Rng(seed, BANK))
            assert all(isinstance(out, bytes) for out in outs), name
