"""Target ``sizes``: the real parser holds at every length of the seeds, and a parser that fails past one is found."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, Self

import numpy
import pytest

from harness.findings.finding import Finding
from harness.observation import ACCEPT, Run
from harness.oracles.oracle import Execution
from harness.targets.sizes import oracle
from harness.targets.sizes.program import VOCABULARY, Call, decode, seeds
from harness.targets.sizes.target import Sizes

step, encode = VOCABULARY.step, VOCABULARY.encode
Change = Callable[[Any], Any]


@pytest.fixture(scope="module")
def run(safetensors: ModuleType) -> Run:
    return Sizes().open(safetensors)


def found(run: Run, *steps: tuple[Any, ...]) -> list[str]:
    """The findings of these steps, as rule and aspect."""
    return [f"{one.rule.name} {one.aspect}" for one in findings(run, encode([step(*one) for one in steps]))]


def findings(run: Run, program: bytes) -> list[Finding]:
    return oracle.check(Execution(program, run(program)))


@pytest.mark.parametrize("name", seeds())
def test_the_parser_holds_at_every_length_of_the_seeds(run: Run, name: str):
    if reason := Sizes().missing(seeds()[name]):
        pytest.skip(reason)
    outcome, error, trace = run(seeds()[name])
    assert (outcome, error) == (ACCEPT, "")
    assert len(trace.events) == len(decode(seeds()[name]).calls)
    assert oracle.check(Execution(b"", (outcome, error, trace))) == []


@pytest.mark.parametrize(("number", "place"), [("safe_open", 1), ("save_file", 0)])
def test_a_tensor_with_holes_is_read_and_written(run: Run, number: str, place: int):
    assert found(run, ("large", 0, 1), (number, 0, place)) == []


@pytest.mark.parametrize("call", [("safe_open", 1), ("load_file", 1, 1), ("load", 1), ("save_model",), ("load_model",)])
def test_torch_is_judged_past_the_dimensions_of_numpy(run: Run, call: tuple[Any, ...]):
    pytest.importorskip("torch")
    assert found(run, ("rank", 6, 1, 2), call) == []
    assert [event.outcome for event in run(encode([step("rank", 6, 1, 2), step(*call)]))[2].events] == [ACCEPT]


@pytest.mark.long
@pytest.mark.parametrize(
    "call", [("safe_open", 0, 1), ("safe_open", 1, 0), ("safe_open", 0, 0, 4), ("serialize_file",)]
)
def test_four_gigabytes_are_read_and_written(run: Run, call: tuple[object, ...]):
    assert found(run, ("tensor", 3, 1), ("large", 5, 1), ("tensor", 5, 2), call) == []


# -- parsers that fail past a length --------------------------------------------------------------------------


class Changed:
    """An open file whose answers are changed."""

    def __init__(self, file: Any, changes: dict[str, Change]) -> None:
        self._file, self._changes = file, changes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.__exit__(None, None, None)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._file, name)
        return lambda *arguments: self._changes.get(name, lambda value: value)(real(*arguments))


def reader(safetensors: ModuleType, **changes: Change) -> Run:
    liar = ModuleType("liar")
    vars(liar).update(vars(safetensors))
    liar.safe_open = lambda *given, **options: Changed(safetensors.safe_open(*given, **options), changes)  # type: ignore[attr-defined]
    return Sizes().open(liar)


def past(size: int, change: Change) -> Change:
    """Change values of more than ``size`` bytes alone."""
    return lambda value: change(value) if value.nbytes > size else value


def blocks_swapped(array: Any) -> Any:
    flat = array.reshape(-1).copy()
    flat[:4096], flat[4096:8192] = flat[4096:8192].copy(), flat[:4096].copy()
    return flat.reshape(array.shape)


def last_block_repeated(array: Any) -> Any:
    flat = array.reshape(-1).copy()
    flat[-4096:] = flat[-8192:-4096]
    return flat.reshape(array.shape)


def tail_left_out(array: Any) -> Any:
    flat = array.reshape(-1).copy()
    flat[65536:] = 0
    return flat.reshape(array.shape)


@pytest.mark.parametrize("change", [blocks_swapped, last_block_repeated, tail_left_out])
def test_other_bytes_past_a_length_are_found(safetensors: ModuleType, change: Change):
    run = reader(safetensors, get_tensor=past(65536, change))
    # 64 KiB go well, one byte more does not.
    assert found(run, ("tensor", 12, 0), ("safe_open",)) == []
    assert found(run, ("tensor", 12, 1), ("safe_open",)) == ["sizes.numpy.get_tensor.mmap bytes"]


def test_names_and_metadata_past_a_count_or_a_length_are_found(safetensors: ModuleType):
    run = reader(
        safetensors,
        keys=lambda names: [name[:65535] for name in names],
        metadata=lambda entries: entries and dict(list(entries.items())[:256]),
    )
    assert found(run, ("name", 15, 0), ("entries", 8, 0), ("safe_open",)) == []
    assert found(run, ("name", 16, 0), ("safe_open",)) == ["sizes.numpy.get_tensor.mmap names"]
    assert found(run, ("entries", 8, 1), ("safe_open", 0, 1, 1)) == ["sizes.numpy.get_tensors.pread metadata"]


def test_a_loader_that_loses_a_dimension_or_turns_the_type_is_found(run: Run, monkeypatch: pytest.MonkeyPatch):
    module = __import__("safetensors.numpy").numpy
    real = module.load
    monkeypatch.setattr(module, "load", lambda data: {name: array.squeeze() for name, array in real(data).items()})
    assert found(run, ("tensor", 4, 0, 4), ("load",)) == ["sizes.numpy.load shape"]
    monkeypatch.setattr(module, "load", lambda data: {name: array.view("i1") for name, array in real(data).items()})
    assert found(run, ("tensor", 4, 0), ("load",)) == ["sizes.numpy.load dtype"]


def test_a_part_at_the_wrong_row_is_found(safetensors: ModuleType):
    class Moved:
        def __init__(self, part: Any) -> None:
            self._part = part
            self.get_shape, self.get_dtype = part.get_shape, part.get_dtype

        def __getitem__(self, index: Any) -> Any:
            # The borders of blocks of 64 KiB are rounded down.
            return self._part[slice((index.start and index.start - index.start % 65536) or index.start, index.stop)]

    run = reader(safetensors, get_slice=Moved)
    assert found(run, ("tensor", 12, 0), ("safe_open", 0, 0, 4)) == []
    assert found(run, ("tensor", 18, 0), ("safe_open", 0, 0, 4)) == ["sizes.numpy.chunks.mmap shape"]


def test_columns_of_another_shape_are_found(safetensors: ModuleType):
    class Squeezed:
        def __init__(self, part: Any) -> None:
            self._part = part
            self.get_shape, self.get_dtype = part.get_shape, part.get_dtype

        def __getitem__(self, index: Any) -> Any:
            return self._part[index].squeeze()

    run = reader(safetensors, get_slice=Squeezed)
    assert found(run, ("tensor", 4, 0, 4), ("safe_open", 0, 0, 6)) == ["sizes.numpy.columns.mmap shape"]


def test_columns_of_more_dimensions_than_numpy_has_are_compared(run: Run):
    pytest.importorskip("torch")
    program = encode([step("rank", 8, 1, 0), step("safe_open", 1, 0, 6)])
    assert (run(program)[0], decode(program).content.rank) == (ACCEPT, 257)
    assert findings(run, program) == []


@pytest.mark.parametrize(
    ("change", "aspect"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "bytes"),
        (lambda data: data + b"\0", "size"),
        (lambda data: data.replace(b'"t0"', b'"t1"'), "names"),
        (lambda data: data.replace(b"[65537]", b"[65536]"), "shape"),
        (lambda data: data.replace(b"[0,65537]", b"[1,65537]"), "layout"),
        (lambda data: b"\xff" * 8 + data[8:], "header"),
        (lambda data: data.replace(b'"v1":"nn', b'"v1":"mm'), "metadata"),
    ],
)
def test_a_writer_of_another_file_is_found(run: Run, monkeypatch: pytest.MonkeyPatch, change: Change, aspect: str):
    module = __import__("safetensors.numpy").numpy
    real = module.save
    monkeypatch.setattr(module, "save", lambda *given: change(real(*given)))
    assert found(run, ("tensor", 12, 1), ("value", 3, 0), ("save",)) == [f"sizes.numpy.save {aspect}"]


def test_a_file_that_ends_early_and_a_refusal_are_found(safetensors: ModuleType, monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object) -> bytes:
        raise safetensors.SafetensorError("header of 65537 bytes is too large")

    run = Sizes().open(safetensors)
    monkeypatch.setattr(__import__("safetensors.numpy").numpy, "save", refused)
    assert found(run, ("tensor",), ("save",)) == [
        "sizes.numpy.save refused: SafetensorError: header of N bytes is too large"
    ]

    real = safetensors.serialize_file

    def cut(specs: Any, path: Any, metadata: Any) -> None:
        real(specs, path, metadata)
        os.truncate(path, os.path.getsize(path) - 1)

    liar = ModuleType("liar")
    vars(liar).update(vars(safetensors), serialize_file=cut)
    assert found(Sizes().open(liar), ("tensor", 12, 1), ("serialize_file",)) == ["sizes.serialize_file size"]


def test_a_module_that_is_written_or_read_otherwise_is_found(run: Run, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("torch")
    module = importlib.import_module("safetensors.torch")
    real = module.save_file, module.load_file
    program = ("tensor", 12, 1), ("name", 3, 0), ("value", 3, 0), ("save_model",), ("load_model", 0, 1)
    assert found(run, *program) == []

    def narrowed(tensors: Any, path: str, metadata: Any) -> None:
        real[0]({name: tensor[:65536].clone() for name, tensor in tensors.items()}, path, metadata)

    monkeypatch.setattr(module, "save_file", narrowed)
    assert found(run, ("tensor", 12, 0), ("save_model",)) == []
    assert found(run, *program) == ["sizes.torch.save_model size"]

    def changed(*given: Any, **options: Any) -> Any:
        return {name: tensor.add(len(tensor) > 65536) for name, tensor in real[1](*given, **options).items()}

    monkeypatch.setattr(module, "save_file", real[0])
    monkeypatch.setattr(module, "load_file", changed)
    assert found(run, ("tensor", 12, 0), ("load_model",)) == []
    assert found(run, *program) == ["sizes.torch.load_model.pread bytes"]


def test_readers_and_writers_of_paddle_are_judged_at_every_length(run: Run, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("paddle")
    module = importlib.import_module("safetensors.paddle")
    load, save = module.load, module.save
    long = ("tensor", 12, 1, 2), ("rank", 3, 0)
    calls = ("load", 2), ("load_file", 2), ("load_file", 2, 1), ("save", 2), ("save_file", 2), ("safe_open", 2, 0, 2)
    assert found(run, *long, *calls) == []
    monkeypatch.setattr(module, "load", lambda data: {name: tensor[:32768] for name, tensor in load(data).items()})
    monkeypatch.setattr(module, "save", lambda *given: save(*given)[:-1] + b"x")
    assert found(run, ("tensor", 12, 0, 2), calls[0]) == []
    assert found(run, long[0], *calls) == ["sizes.paddle.load shape", "sizes.paddle.save bytes"]


def test_runs_leave_neither_files_nor_descriptors(run: Run):
    run(seeds()["save_file"])
    before = len(os.listdir("/proc/self/fd"))
    for program in seeds().values():
        run(program[:16])
    assert len(os.listdir("/proc/self/fd")) == before


def test_features_tell_lengths_and_explain_names_them(run: Run):
    target = Sizes()
    ones = [set(target.features(run(encode([step("tensor", bits), step("save")])))) for bits in (4, 5)]
    assert ones[0] - ones[1] == {("numpy.save", ACCEPT, word, 9 + (word == "")) for word in ("largest", "next", "size")}
    text = target.explain(seeds()["parts"])
    assert "'t0': U8 [4097], 4,097 bytes" in text
    assert 'safe_open(path, framework="numpy")  # columns' in text
    assert target.explain(seeds()["many"]).count("\n") < 20
    assert numpy.array_equal(target.call_names(seeds()["save"]), ["numpy.save", "torch.save", "serialize"])
    assert 'safetensors.torch.load_model(model, path, backend="pread")' in target.explain(seeds()["model"])


def test_a_program_needs_the_frameworks_of_its_calls():
    target = Sizes()
    assert target.needs_for(seeds()["save"]) == target.needs_for(seeds()["model"]) == ("torch",)
    assert target.needs_for(seeds()["paddle-save"]) == ("paddle",)
    assert target.needs_for(seeds()["parts"]) == ()
    assert decode(encode([step("rank", 3, 3), step("load", 2), step("save", 1)])).calls == (Call("save", "torch"),)
