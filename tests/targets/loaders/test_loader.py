"""The loaders and savers of frameworks on the real parser: what each entry point yields, read by the framework alone."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.format.dtypes import DTYPE_BITS
from harness.format.encode import pack
from harness.observation import ACCEPT, RAISE, REJECT, Event, Reading, Readings, Trace, Written
from harness.targets.loaders.backends import Backends
from harness.targets.loaders.loader import BACKEND_CALLS, FRAMEWORK_CALLS, Loader
from harness.targets.loaders.numpy import OWN, Numpy
from harness.targets.registry import all_targets, get_target

PARTS = [("second", "F32", (2, 1), bytes(range(8))), ("first", "U8", (3,), b"abc"), ("", "I64", (), b"12345678")]
METADATA = {"a": "b", "ü": "\U0001f600"}
FILE = pack(PARTS, METADATA)
LOADERS = [target for target in all_targets().values() if isinstance(target, Loader)]


def events(value: Any) -> dict[str, Event]:
    assert isinstance(value, Readings | Trace)
    return {event.call: event for event in value.events}


def content(reading: Reading) -> set[tuple[str, str, tuple[int, ...], bytes]]:
    return {(name, held["dtype"], tuple(held["shape"]), bytes(held["data"])) for name, held in reading.tensors}


@pytest.mark.parametrize("target", [Numpy(), Backends()], ids=lambda target: target.name)
def test_every_entry_point_reads_the_whole_file(safetensors: ModuleType, target: Loader) -> None:
    outcome, error, value = target.open(safetensors)(FILE)
    assert (outcome, error) == (ACCEPT, "")
    assert content(target.reading(value)) == set(PARTS)
    assert (value.metadata, value.offset_keys) == (METADATA, ["second", "first", ""])
    asked = events(value)
    assert tuple(asked) == target.calls
    readings = [event.value for event in asked.values() if isinstance(event.value, Reading)]
    assert len(readings) == len(BACKEND_CALLS if target.name == "backends" else FRAMEWORK_CALLS[:-2])
    assert all(content(reading) == set(PARTS) for reading in readings)


# No tensor without dimensions: safetensors.tensorflow cannot save one.
COMMON = [
    ("f", "F32", (2, 1), bytes(range(8))),
    ("b", "U8", (3,), b"abc"),
    ("i", "I32", (1,), b"1234"),
    ("t", "BOOL", (2,), b"\1\0"),
]


@pytest.fixture(params=[target for target in LOADERS if target.name != "backends"], ids=lambda target: target.name)
def framework(request) -> Loader:
    target: Loader = request.param
    if reason := target.missing():
        pytest.skip(reason)
    return target


def test_every_framework_reads_and_saves_what_all_of_them_have(safetensors: ModuleType, framework: Loader) -> None:
    outcome, error, value = framework.open(safetensors)(pack(COMMON, METADATA))
    assert (outcome, error) == (ACCEPT, "")
    asked = events(value)
    assert tuple(asked) == FRAMEWORK_CALLS
    for call, event in asked.items():
        if (framework.name, call) == ("paddle", "load_file.pread"):
            # It reads nothing by that: crashes/agreement.deserialize-load-file.pread-d817ea52.
            assert event.error == "Could not find module"
            continue
        reading = event.value.again if isinstance(event.value, Written) else event.value
        assert isinstance(reading, Reading), call
        assert content(reading) == set(COMMON), call


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.parametrize("dtype", DTYPE_BITS)
def test_torch_reads_every_dtype_that_it_has(safetensors: ModuleType, dtype: str) -> None:
    target = get_target("torch")
    assert isinstance(target, Loader)
    held = bytes(i % 2 for i in range(DTYPE_BITS[dtype]))
    outcome, _, value = target.open(safetensors)(pack([("t", dtype, (2, 4), held)]))
    if dtype in target.holds_here():
        assert content(target.reading(value)) == {("t", dtype, (2, 4), held)}
    else:
        assert dtype.startswith("F6")
        assert list(value.partial) == ["t"]
    assert outcome in (ACCEPT, RAISE)


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="tensorflow is not installed")
def test_tensorflow_is_asked_for_the_byte_of_a_boolean_not_for_its_truth(safetensors: ModuleType) -> None:
    tensors = [("scalar", "BOOL", (), b"\x08"), ("row", "BOOL", (2,), b"\x08\0")]
    value = get_target("tensorflow").open(safetensors)(pack(tensors))[2]
    assert content(get_target("tensorflow").reading(value)) == set(tensors)


@pytest.mark.skipif(importlib.util.find_spec("paddle") is None, reason="paddle is not installed")
def test_nothing_is_asked_of_paddle_that_it_cannot_do(safetensors: ModuleType) -> None:
    """It holds unsigned numbers past eight bits, and has no operation on them."""
    tensors = [("wide", "U64", (2,), bytes(range(16))), ("narrow", "U32", (1,), bytes(4))]
    value = get_target("paddle").open(safetensors)(pack(tensors))[2]
    assert content(get_target("paddle").reading(value)) == set(tensors)


def test_both_backends_are_asked_for_everything(safetensors: ModuleType) -> None:
    asked = events(Backends().open(safetensors)(FILE)[2])
    for call in set(BACKEND_CALLS) - {"deserialize"}:
        reading = asked[call].value
        assert (reading.metadata, reading.offset_keys) == (METADATA, ["second", "first", ""]), call
    for call in ("mmap.get_slice", "pread.get_slice"):
        assert {name: held["said"] for name, held in asked[call].value.tensors} == {
            name: [dtype, list(shape)] for name, dtype, shape, _ in PARTS
        }


@pytest.mark.parametrize("call", ["save", "save_file"])
def test_what_was_loaded_is_saved_and_loaded_again(safetensors: ModuleType, call: str) -> None:
    written = events(Numpy().open(safetensors)(FILE)[2])[call].value
    assert isinstance(written, Written)
    assert written.kept
    assert isinstance(written.again, Reading)
    assert content(written.read) == content(written.again) == set(PARTS)
    assert written.read.metadata == METADATA
    assert written.data[8:9] == b"{"


@pytest.mark.parametrize("dtype", DTYPE_BITS)
def test_a_dtype_that_numpy_lacks_fails_where_it_is_asked_for_and_nowhere_else(
    safetensors: ModuleType, dtype: str
) -> None:
    data = pack([("t", dtype, (4,), bytes(DTYPE_BITS[dtype] // 2)), ("other", "U8", (1,), b"x")])
    outcome, _, value = Numpy().open(safetensors)(data)
    asked = events(value)
    assert asked["deserialize"].outcome == ACCEPT
    assert isinstance(value, Reading)
    names = {name for name, _ in value.tensors}
    if dtype in OWN:
        assert outcome == ACCEPT
        assert names == {"t", "other"}
    else:
        assert asked["load"].outcome == RAISE
        assert asked["load_file"].outcome in (RAISE, REJECT)
        assert names == {"other"}
        assert list(value.partial or ()) == ["t"]
        # There is nothing to save.
        assert "save" not in asked


def test_a_file_that_nobody_reads_is_refused_by_all(safetensors: ModuleType) -> None:
    for target in (Numpy(), Backends()):
        outcome, error, value = target.open(safetensors)(b"\xff" * 40)
        assert outcome == REJECT
        assert error.startswith("Error while deserializing header")
        assert {event.outcome for event in events(value).values()} == {REJECT}


def test_one_that_fails_does_not_hide_what_the_others_read(safetensors: ModuleType, monkeypatch) -> None:
    import safetensors.numpy as own

    def load(data: bytes) -> dict[str, Any]:
        raise ZeroDivisionError("odd")

    monkeypatch.setattr(own, "load", load)
    outcome, error, value = Numpy().open(safetensors)(FILE)
    assert (outcome, error) == (RAISE, "ZeroDivisionError: odd")
    assert content(Numpy().reading(value)) == set(PARTS)
    assert events(value)["load_file"].outcome == ACCEPT


LIES: dict[str, Callable[[Any], Any]] = {
    "big-endian float32": lambda array: array.astype(">f4"),
    "a list": lambda array: array.tolist(),
    "F64": lambda array: array.astype("float64"),
}


@pytest.mark.parametrize("dtype", LIES)
def test_arrays_are_named_for_what_they_are(safetensors: ModuleType, monkeypatch, dtype: str) -> None:
    import safetensors.numpy as own

    real = own.load
    monkeypatch.setattr(own, "load", lambda data: {name: LIES[dtype](array) for name, array in real(data).items()})
    reading = events(Numpy().open(safetensors)(pack(PARTS[:1]))[2])["load"].value
    assert reading.tensors[0][1]["dtype"] == dtype


def test_files_of_all_sizes_follow_one_another_and_leave_nothing_behind(safetensors: ModuleType) -> None:
    run = Backends().open(safetensors)
    run(FILE)
    before = len(os.listdir("/proc/self/fd"))
    for size in (200_000, 0, 70_000, 1, 300_000, 5):
        data = pack([("t", "U8", (size,), b"\x2a" * size)])
        assert {event.outcome for event in events(run(data)[2]).values() if "slice" not in event.call} == {ACCEPT}
        run(data[:-1])
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("target", LOADERS, ids=lambda target: target.name)
def test_a_framework_that_is_not_installed_is_named(target: Loader, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert target.needs[0] in target.missing()
    assert "not installed" in target.missing()


@pytest.mark.parametrize("target", LOADERS, ids=lambda target: target.name)
def test_a_framework_that_does_not_import_is_said_to_be_broken(
    safetensors: ModuleType, target: Loader, monkeypatch
) -> None:
    class Broken(type(target)):  # type: ignore[misc] # the very target, but for the name of its framework
        imports = ("tests_broken_framework",)

    def fail(name: str) -> ModuleType:
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr("importlib.import_module", fail)
    with pytest.raises(HarnessError, match=r"does not import: OSError: libcudart") as failure:
        Broken().open(safetensors)
    assert "python -c" in failure.value.hint
