"""Both ways through the judge agree on anything, and our JSON is the JSON of others."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.format.dtypes import DTYPE_BITS
from harness.format.fast import judge_plainly
from harness.format.jsontext import Reader
from harness.format.jsontoken import HUGE, JsonError, Odd, scalar_at
from harness.format.judge import ASPECTS, features, judge, quick
from harness.format.strict import judge_strictly

Pairs = list[tuple[str, Any]]


class Raw(str):
    """JSON that is written as it stands."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """An object as pairs: keys may repeat."""


INTEGERS = st.one_of(
    st.integers(0, 9),
    st.sampled_from([8, 12, 16, 2**31, 2**32, 2**53 + 1, 2**63, 2**64 - 1, 2**64, 2**70, -1]),
    st.sampled_from(["-0", "1.0", "4e0", "0.5", "1e400", "0e9", "40e-1", "4.5", "-1.0"]).map(Raw),
)
NAMES = st.one_of(
    st.sampled_from(["a", "b", "a:b", "a-0", "", "\0", "é", "dtype", "\ud800", "😀"]), st.text(max_size=4)
)
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, NAMES, st.floats().map(lambda f: Raw(repr(f)))),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.lists(st.tuples(NAMES, inner), max_size=3).map(Members)),
    max_leaves=4,
)
SHAPES = st.lists(INTEGERS, max_size=3)
DTYPES = st.sampled_from(sorted(DTYPE_BITS))


def mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any] = JUNK) -> st.SearchStrategy[Any]:
    return st.integers(0, 15).flatmap(lambda roll: odd if roll == 0 else usual)


@st.composite
def sound_tensors(draw: st.DrawFn) -> tuple[Members, int]:
    """Members that lie end to end, and the bytes they take: the ground that damage starts from."""
    members, reach = Members(), 0
    for _ in range(draw(st.integers(0, 3))):
        dtype = draw(DTYPES)
        shape = draw(st.lists(st.sampled_from([0, 1, 2, 4, 8]), max_size=3))
        size = DTYPE_BITS[dtype] * math.prod(shape) // 8
        fields = Members([("dtype", dtype), ("shape", shape), ("data_offsets", [reach, reach + size])])
        reach += size
        members.append((draw(NAMES), fields))
    return members, reach


@st.composite
def headers(draw: st.DrawFn) -> tuple[Members, int]:
    """A header that is often sound and often damaged in one or two places."""
    members, reach = draw(sound_tensors())
    for _name, fields in members:
        for index, (key, _value) in enumerate(fields):
            odd = {"dtype": JUNK | NAMES, "shape": SHAPES | JUNK, "data_offsets": st.lists(INTEGERS, max_size=3) | JUNK}
            if draw(st.integers(0, 11)) == 0:
                fields[index] = (key, draw(odd[key]))
        if draw(st.integers(0, 11)) == 0:
            fields.append((draw(NAMES | st.sampled_from(["shape", "x"])), draw(JUNK)))
        if draw(st.integers(0, 11)) == 0 and fields:
            del fields[draw(st.integers(0, len(fields) - 1))]
    if draw(st.booleans()):
        metadata = draw(mostly(st.lists(st.tuples(NAMES, mostly(NAMES)), max_size=2).map(Members)))
        members.insert(draw(st.integers(0, len(members))), ("__metadata__", metadata))
    if draw(st.integers(0, 11)) == 0:
        members.append((draw(NAMES | st.just("__metadata__")), draw(JUNK)))
    return members, reach


def write(value: Any, spell: Any) -> str:
    """JSON of a value; ``spell(text)`` draws how a string is written, and what stands between two tokens."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, Members):
        return "{%s}" % ",".join(f"{spell(key)}:{write(item, spell)}" for key, item in value)  # noqa: UP031
    if isinstance(value, list):
        return "[%s]" % ",".join(write(item, spell) for item in value)  # noqa: UP031
    return spell(value) if isinstance(value, str) else json.dumps(value)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file of such a header, in plain or odd spelling, with the buffer it needs or nearly that."""
    members, reach = draw(headers())
    odd = draw(st.booleans())

    def spell(text: str) -> str:
        if not odd:
            return json.dumps(text)
        style = draw(st.sampled_from(["ascii", "unicode", "escaped"]))
        if style == "escaped":
            units = text.encode("utf-16-be", "surrogatepass").hex()
            quoted = '"%s"' % "".join("\\u" + units[i : i + 4] for i in range(0, len(units), 4))  # noqa: UP031
        else:
            quoted = json.dumps(text, ensure_ascii=style == "ascii" or not text.isprintable())
        space = st.sampled_from(["", "", "", " ", "\n", "\t\r"])
        return draw(space) + quoted + draw(space)

    text = write(members, spell) + draw(st.sampled_from(["", "", "", " ", "  ", "\n", "\0", "}", " x"]))
    raw = text.encode("utf-8", "surrogatepass")
    size = max(0, reach + draw(st.sampled_from([0, 0, 0, 0, 1, -1])))
    return len(raw).to_bytes(8, "little") + raw + bytes(size)


def check(data: bytes) -> None:
    judgement = judge(data)
    strictly = judge_strictly(data, len(data))
    assert judgement == strictly
    cheap = quick(data)
    assert cheap == (judgement.rule if judgement.rule in list(ASPECTS)[:6] else "")
    assert (judgement.verdict == "accept") == (judgement.rule == "")
    if judgement.rule:
        assert judgement.aspect in ASPECTS[judgement.rule]
        assert features(data, judgement) == ()
    if judgement.span is not None:
        start, stop = judgement.span
        assert 0 <= start <= stop <= len(data)
    if judgement.verdict == "accept":
        assert judgement.header is not None
        assert (
            sum(tensor.end - tensor.begin for tensor in judgement.header.tensors)
            == len(data) - 8 - judgement.header.size
        )


@given(files())
@example(b"\2" + bytes(7) + b"{}")
def test_fast_and_strict_agree_on_near_files(data: bytes) -> None:
    check(data)


@given(st.binary(max_size=60))
def test_fast_and_strict_agree_on_bytes(data: bytes) -> None:
    check(data)


@given(files(), st.integers(0, 400), st.integers(0, 255), st.booleans())
def test_fast_and_strict_agree_on_damaged_files(data: bytes, place: int, value: int, keep: bool) -> None:
    place = 8 + place % max(1, len(data) - 8)
    header = data[8:place] + bytes([value]) * keep + data[place + 1 :]
    check(len(header).to_bytes(8, "little") + header)


@given(sound_tensors(), st.randoms(use_true_random=False))
def test_order_of_members_changes_nothing(sound: tuple[Members, int], random: Any) -> None:
    members, reach = sound
    verdicts = set()
    for _ in range(3):
        random.shuffle(members)
        raw = write(members, json.dumps).encode()
        judgement = judge(len(raw).to_bytes(8, "little") + raw + bytes(reach))
        verdicts.add((judgement.verdict, judgement.rule, judgement.aspect))
    assert len(verdicts) == 1


@given(headers(), st.randoms(use_true_random=False))
def test_order_of_members_changes_no_rule(damaged: tuple[Members, int], random: Any) -> None:
    members, reach = damaged
    names = [name for name, _ in members]
    verdicts = set()
    for _ in range(3):
        random.shuffle(members)
        raw = write(members, json.dumps).encode()
        judgement = judge(len(raw).to_bytes(8, "little") + raw + bytes(reach))
        verdicts.add((judgement.verdict, judgement.rule, judgement.aspect))
    # Of members of one name the first is read; their order is the text's to say.
    assert len(verdicts) == 1 or len(set(names)) < len(names)


def forbid(constant: str) -> None:
    raise ValueError(constant)


def is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=forbid)
    except ValueError:
        return False
    return True


FRAGMENTS = st.sampled_from(
    [
        '"a"',
        '"',
        "\\",
        "\\u00",
        "\\ud800",
        "\\n",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "1",
        "0",
        "-",
        ".",
        "e",
        "E+",
        "true",
        "null",
        " ",
        "\n",
        "é",
        "NaN",
    ]
)


@given(
    st.lists(FRAGMENTS, max_size=12).map("".join),
    st.sampled_from(['{"a":%s}', "{%s}", '{"a":{"b":[%s]}}', '{"a":{"b":{"c":%s}}}']),
)
def test_what_is_json_elsewhere_is_json_here(fragment: str, frame: str) -> None:
    text = frame % fragment
    raw = text.encode()
    try:
        members = list(Reader(raw, 0, len(raw)).members())
    except JsonError as caught:
        error: JsonError | None = caught
    else:
        error = None
    assert is_json(text) == (error is None)
    if error is None:
        top = json.loads(text, object_pairs_hook=Members)
        assert [key for key, _, _ in members] == [key for key, _ in top]
    else:
        assert error.aspect in ASPECTS["header.json"]
        assert 0 <= error.start <= error.end <= len(raw)


@given(st.text())
def test_strings_read_as_elsewhere(text: str) -> None:
    for raw in (json.dumps(text).encode(), json.dumps(text, ensure_ascii=False).encode()):
        assert scalar_at(raw, 0, len(raw)) == (text, len(raw))


@given(st.lists(st.integers(0xD700, 0xE000), max_size=6))
def test_surrogates_pair_up_as_elsewhere(units: list[int]) -> None:
    raw = ('"%s"' % "".join(f"\\u{unit:04x}" for unit in units)).encode()  # noqa: UP031
    assert scalar_at(raw, 0, len(raw))[0] == json.loads(raw)


@given(st.integers(-(10**25), 10**25), st.integers(0, 30), st.integers(-30, 30))
def test_numbers_have_their_exact_value(mantissa: int, point: int, exponent: int) -> None:
    digits = str(abs(mantissa)).rjust(point + 1, "0")
    whole, fraction = digits[: len(digits) - point], digits[len(digits) - point :]
    text = "-" * (mantissa < 0) + whole + ("." + fraction if fraction else "") + f"e{exponent}"
    raw = text.encode()
    value, after = scalar_at(raw, 0, len(raw))
    assert after == len(raw)
    assert isinstance(value, Odd)
    power = exponent - point
    scaled = abs(mantissa) * 10 ** max(0, power)
    exact, rest = divmod(scaled, 10 ** max(0, -power))
    if rest:
        assert value.value is None
    elif exact < HUGE:
        assert value.value == (exact if mantissa >= 0 else -exact)
    else:
        assert value.value == (HUGE if mantissa >= 0 else -HUGE)


@pytest.mark.parametrize(
    "header", ['{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', '{"__metadata__":{"a:b":"c-0"}}']
)
def test_plain_headers_take_the_fast_way(header: str) -> None:
    data = len(header).to_bytes(8, "little") + header.encode() + bytes(4 if "F32" in header else 0)
    assert judge_plainly(data, len(data)) is not None
