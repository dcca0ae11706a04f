"""``deserialize`` and ``safe_open`` on the real parser: what a run yields, in the one form that oracles read."""

from __future__ import annotations

import os
from types import ModuleType

import pytest

from harness.format.dtypes import DTYPE_BITS
from harness.format.encode import pack
from harness.observation import ACCEPT, NOT_READ, RAISE, REJECT, Reading, Run
from harness.targets.base import Target
from harness.targets.files.deserialize import Deserialize
from harness.targets.files.safe_open import SafeOpen

NUMPY = [d for d in DTYPE_BITS if not d.startswith(("F4", "F6", "F8", "BF"))]
PARTS = [("second", "F32", (2, 1), bytes(range(8))), ("first", "U8", (3,), b"abc"), ("", "I64", (), b"12345678")]
METADATA = {"a": "b", "ü": "\U0001f600"}


@pytest.fixture(params=[Deserialize, SafeOpen])
def target(request) -> Target:
    made: Target = request.param()
    return made


@pytest.fixture
def run(target: Target, safetensors: ModuleType) -> Run:
    return target.open(safetensors)


def test_a_file_is_read_whole(target: Target, run: Run):
    outcome, error, value = run(pack(PARTS, METADATA))
    assert (outcome, error) == (ACCEPT, "")
    tensors = dict(target.reading(value).tensors)
    read = {(name, held["dtype"], tuple(held["shape"]), bytes(held["data"])) for name, held in tensors.items()}
    assert read == set(PARTS)


def test_what_only_one_entry_point_gives(safetensors: ModuleType):
    data = pack(PARTS, METADATA)
    whole = Deserialize().reading(Deserialize().open(safetensors)(data)[2])
    lazy = SafeOpen().reading(SafeOpen().open(safetensors)(data)[2])
    assert (whole.metadata, whole.offset_keys) == (NOT_READ, None)
    assert (lazy.metadata, lazy.offset_keys) == (METADATA, ["second", "first", ""])


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\0" * 8, b"\xff" * 64, b"\2" + b"\0" * 7 + b"{}x"])
def test_a_refusal_carries_the_parser_s_own_words(run: Run, data: bytes):
    outcome, error, value = run(data)
    assert outcome == REJECT
    assert error.startswith("Error while deserializing")
    assert error == str(value)


@pytest.mark.parametrize("dtype", NUMPY)
def test_every_dtype_that_numpy_has_is_named_as_the_format_names_it(safetensors: ModuleType, dtype: str):
    content = bytes(i % 2 for i in range(3 * DTYPE_BITS[dtype] // 8))
    outcome, _, value = SafeOpen().open(safetensors)(pack([("t", dtype, (3,), content)]))
    assert outcome == ACCEPT
    assert value.tensors == [("t", {"dtype": dtype, "shape": [3], "data": content})]


def test_a_tensor_that_fails_does_not_hide_the_others(safetensors: ModuleType):
    # numpy has no six-bit floats, and the parser refuses them with its documented error.
    parts = [("six", "F6_E2M3", (4,), b"abc"), ("one", "U8", (1,), b"x")]
    outcome, error, value = SafeOpen().open(safetensors)(pack(parts))
    assert (outcome, error) == (ACCEPT, "")
    assert [name for name, _ in value.tensors] == ["one"]
    assert list(value.partial) == ["six"]
    assert value.offset_keys == ["six", "one"]


def test_an_undocumented_error_of_one_tensor_is_the_outcome_and_the_rest_is_read(safetensors: ModuleType, monkeypatch):
    class Odd:
        """The real reader, but for one tensor."""

        def __init__(self, path: str, framework: str) -> None:
            self.file = safetensors.safe_open(path, framework=framework)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.__exit__(*error)

        def __getattr__(self, name: str):
            return getattr(self.file, name)

        def get_tensor(self, name: str):
            if name == "first":
                raise ZeroDivisionError(name)
            return self.file.get_tensor(name)

    class Lying(ModuleType):
        safe_open = Odd
        SafetensorError = safetensors.SafetensorError

    outcome, error, value = SafeOpen().open(Lying("lying"))(pack(PARTS, METADATA))
    assert (outcome, error) == (RAISE, "ZeroDivisionError: first")
    assert isinstance(value, Reading)
    assert sorted(name for name, _ in value.tensors) == ["", "second"]
    assert value.metadata == METADATA


def test_files_of_all_sizes_follow_one_another(safetensors: ModuleType):
    """The memory file shrinks and grows under the target; nothing of it may still be mapped, or reading would fault."""
    run = SafeOpen().open(safetensors)
    kept = []
    for size in (200_000, 0, 70_000, 1, 300_000, 5):
        outcome, _, value = run(pack([("t", "U8", (size,), b"\x2a" * size)]))
        assert outcome == ACCEPT
        kept.append((size, value.tensors[0][1]["data"]))
        assert run(b"\0" * (size % 9))[0] == REJECT
        with open("/proc/self/maps", encoding="ascii") as maps:
            assert "safe_open-input" not in maps.read()
    assert all(data == b"\x2a" * size for size, data in kept)


def test_a_run_leaves_no_descriptor_behind(run: Run):
    data = pack(PARTS)
    run(data)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        run(data)
        run(data[:-1])
    assert len(os.listdir("/proc/self/fd")) == before
