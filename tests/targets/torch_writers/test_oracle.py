"""The honest library passes; one that lies in one way about tensors or modules is found in that way."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.format.encode import pack
from harness.format.judge import judge
from harness.oracles.oracle import Execution
from harness.programs.arrays import SHAPES, WRITER_DTYPES
from harness.programs.saving import NAMES
from harness.targets.torch_writers import oracle
from harness.targets.torch_writers.program import VOCABULARY
from harness.targets.torch_writers.target import TorchWriters
from harness.targets.torch_writers.tensors import DTYPES, LAYOUT_NUMBERS, VIEWS

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
S = VOCABULARY.step
L = LAYOUT_NUMBERS
V = {one[0]: number for number, one in enumerate(VIEWS)}
CODES = {word: code for code, word in WRITER_DTYPES.items()}
TWO = [S("tensor", 0, 3), S("tensor", 0, 3), S("entry")]
TIED = [S("tensor", 0, 3), S("form", 1), S("view"), S("tensor", 2), S("entry")]
SAVED = VOCABULARY.encode([*TWO, S("save"), S("load"), S("load_file"), S("again"), S("resave"), S("twice")])
MODEL = VOCABULARY.encode([*TIED, S("save_model"), S("load_model"), S("load_model", 3, 1), S("load_model", 2, 1)])


class Refused(Exception):
    """The documented error of the stand-in."""


class Honest:
    """A library that writes and reads by the words of the format, with our own encoder and judge."""

    def __init__(self) -> None:
        self.torch: Any = importlib.import_module("torch")
        self.kit: Any = importlib.import_module("harness.targets.torch_writers.kit")

    def save(self, tensors: Any, metadata: Any = None) -> bytes:
        rows = sorted(self.kit.held(tensors).items())
        return pack([(name, CODES[dtype], shape, raw) for name, (dtype, shape, raw) in rows], metadata)

    def save_file(self, tensors: Any, filename: str, metadata: Any = None) -> None:
        Path(filename).write_bytes(self.save(tensors, metadata))

    def save_model(self, model: Any, filename: str, metadata: Any = None, force_contiguous: bool = True) -> None:
        kept: dict[int, str] = {}
        metadata, tensors = dict(metadata or {}), {}
        for name, tensor in model.state_dict().items():
            first = kept.setdefault(tensor.data_ptr(), name)
            if first == name:
                tensors[name] = tensor
            else:
                metadata.setdefault(name, first)
        self.save_file(tensors, filename, metadata)

    def load(self, raw: bytes) -> Any:
        header = judge(raw).header
        assert header is not None
        return {
            one.name: self.torch.frombuffer(bytearray(header.payload(raw, one)), dtype=self.torch.uint8)
            .view(getattr(self.torch, WRITER_DTYPES[one.dtype]))
            .reshape(one.shape)
            for one in header.tensors
        }

    def load_file(self, filename: str, device: str = "cpu", *, backend: str = "mmap") -> Any:
        return self.load(Path(filename).read_bytes())

    def load_model(self, model: Any, filename: str, strict: bool = True, *, backend: str = "mmap") -> Any:
        tensors, state = self.load_file(filename), model.state_dict()
        missing, unexpected = model.load_state_dict(tensors, strict=False)
        there = {state[name].data_ptr() for name in tensors if name in state}
        missing = [name for name in missing if state[name].data_ptr() not in there]
        if strict and (missing or unexpected):
            raise RuntimeError(f"Error(s) in loading state_dict: {missing} {unexpected}")
        return missing, list(unexpected)


def found(kind: type[Honest], program: bytes) -> list[tuple[str, str]]:
    library = kind()
    module: Any = SimpleNamespace(torch=library, SafetensorError=Refused)
    observation = TorchWriters().open(module)(program)
    return [(one.rule.name, one.aspect) for one in oracle.check(Execution(program, observation))]


def lying(**methods: Any) -> type[Honest]:
    return type("Lying", (Honest,), methods)


def writing(change: Callable[[Any], Any]) -> type[Honest]:
    return lying(save=lambda self, tensors, metadata=None: Honest.save(self, change(dict(tensors)), metadata))


def without(tensors: Any, name: str) -> Any:
    return {key: tensor for key, tensor in tensors.items() if key != name}


@pytest.mark.parametrize("program", [SAVED, MODEL])
def test_the_honest_library_passes(program: bytes):
    assert found(Honest, program) == []


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 1, 3)])
@pytest.mark.parametrize(
    "layout", ["plain", "flipped", "strided", "tail", "expanded", "conj", "neg", "element", "channels-last"]
)
def test_it_passes_however_tensors_lie_in_memory(layout: str, shape: tuple[int, ...]):
    steps = [
        S("tensor", 0, SHAPES.index(shape), L[layout]),
        S("save"),
        S("load"),
        S("save_model"),
        S("load_model", 0, 1),
    ]
    assert found(Honest, VOCABULARY.encode(steps)) == []


@pytest.mark.parametrize(
    ("library", "aspect"),
    [
        (writing(lambda t: {"a": t["b"], "b": t["a"]}), "bytes/plain"),
        (writing(lambda t: without(t, "b")), "names"),
        (writing(lambda t: {**t, "a": t["a"].double()}), "dtype/plain"),
        (writing(lambda t: {**t, "a": t["a"].T}), "shape/plain"),
        (lying(save=lambda self, tensors, metadata=None: Honest.save(self, tensors)), "metadata"),
        (lying(save=lambda self, tensors, metadata=None: b""), "framing.length/empty"),
    ],
)
def test_a_lying_writer_is_found_in_its_lie_and_once(library: type[Honest], aspect: str):
    program = VOCABULARY.encode([*TWO, S("save"), S("load"), S("again")])
    assert found(library, program) == [("torch.written", aspect)]


def test_a_writer_that_takes_memory_as_it_lies_is_found_by_layout():
    def save(self: Honest, tensors: Any, metadata: Any = None) -> bytes:
        rows = []
        for name, x in tensors.items():
            base = self.torch.empty(0, dtype=self.torch.uint8).set_(x.untyped_storage())
            start = x.data_ptr() - base.data_ptr()
            raw = base[start : start + x.numel() * x.itemsize].numpy().tobytes()
            rows.append((name, CODES[str(x.dtype)[6:]], tuple(x.shape), raw))
        return pack(rows, metadata)

    picture = SHAPES.index((2, 2, 2, 2))
    laid = [
        ("flipped", 3, "flipped"),
        ("strided", 3, "strided"),
        ("conj", 3, "lazy"),
        ("channels-last", picture, "channels-last"),
        # Shapes of fewer dimensions become pictures.
        ("channels-last", 3, "channels-last"),
        ("channels-last", SHAPES.index((2, 2, 2)), "channels-last"),
    ]
    for layout, shape, word in laid:
        program = VOCABULARY.encode([S("tensor", 0, shape, L[layout]), S("save")])
        assert found(lying(save=save), program) == [("torch.written", f"bytes/{word}")]


def test_a_writer_of_what_no_file_can_hold_is_found():
    named = VOCABULARY.encode([S("tensor"), S("name", NAMES.index("'__metadata__'")), S("save")])
    assert found(Honest, named) == [("torch.written", "accepted/name/__metadata__")]
    shared = VOCABULARY.encode([S("tensor", 0, 3), S("view", 0, V["most"]), S("save")])
    assert found(Honest, shared) == [("torch.written", "accepted/shared")]


def test_a_module_whose_pair_without_a_dimension_is_written_is_found():
    """Tied or not: a file that has it under its own name is none."""

    def save_model(
        self: Honest, model: Any, filename: str, metadata: Any = None, force_contiguous: bool = True
    ) -> None:
        Honest.save_file(self, without(model.state_dict(), "b"), filename, {"b": "a"})

    pair = S("tensor", DTYPES.index("float4_e2m1fn_x2"), 1)
    library = lying(save_model=save_model)
    for steps, aspect in (([S("view", 0, V["flat"])], "tensor.sub-byte/partial"), ([], "accepted/pair")):
        program = VOCABULARY.encode([pair, *steps, S("save_model")])
        assert found(library, program) == [("torch.written", aspect)]


def dropping(self: Honest, model: Any, filename: str, metadata: Any = None, force_contiguous: bool = True) -> None:
    tensors = without(model.state_dict(), "c")
    self.save_file(without(tensors, "b"), filename, {**(metadata or {}), "b": "a", "c": "a"})


def keeping(self: Honest, model: Any, filename: str, metadata: Any = None, force_contiguous: bool = True) -> None:
    tensors = without(model.state_dict(), "a")
    self.save_file(tensors, filename, {**(metadata or {}), "a": "b"})


def adding(self: Honest, model: Any, filename: str, metadata: Any = None, force_contiguous: bool = True) -> None:
    Honest.save_model(self, model, filename, metadata)
    metadata["more"] = "x"


def whole(self: Honest, model: Any, filename: str, metadata: Any = None, force_contiguous: bool = True) -> None:
    raise RuntimeError("Some tensors share memory: use `save_model`")


def refuse(*_: Any, **__: Any) -> Any:
    raise Refused("no such luck: 17")


@pytest.mark.parametrize(
    ("library", "finding"),
    [
        (lying(save_model=dropping), ("torch.written", "lost")),
        (lying(save_model=keeping), ("torch.kept", "name")),
        (lying(save_model=adding), ("torch.changed", "save_model: metadata")),
        (lying(save_model=whole), ("torch.refused", "save_model: advises save_model")),
        (lying(save_model=refuse), ("torch.refused", "save_model: Refused: no such luck: N")),
        (writing(lambda t: {name: x + 1 for name, x in t.items()}), ("torch.written", "bytes/plain")),
    ],
)
def test_a_module_that_is_saved_otherwise_is_found(library: type[Honest], finding: tuple[str, str]):
    assert found(library, VOCABULARY.encode([*TIED, S("save_model")])) == [finding]


def loading(change: Callable[[Any, Any], Any]) -> type[Honest]:
    """A library whose load_model does something after it, and gives another answer."""

    def load_model(self: Honest, model: Any, filename: str, strict: bool = True, **_: Any) -> Any:
        return change(model, Honest.load_model(self, model, filename, strict=False))

    return lying(load_model=load_model)


def spoiled(model: Any, answer: Any) -> Any:
    for tensor in model.state_dict().values():
        tensor.zero_()
    return answer


@pytest.mark.parametrize(
    ("library", "steps", "finding"),
    [
        (loading(spoiled), [S("load_model")], ("torch.loaded", "bytes")),
        (loading(lambda model, answer: answer), [S("load_model", 2)], ("torch.loaded", "strict accepted")),
        (loading(lambda model, answer: ([], [])), [S("load_model", 2, 1)], ("torch.answer", "missing")),
        (loading(lambda model, answer: ([], [])), [S("load_model", 1, 1)], ("torch.answer", "unexpected")),
        (loading(lambda model, answer: (set(), [])), [S("load_model")], ("torch.answer", "types: ('set', 'list')")),
        (loading(lambda model, answer: (["!twin"], [])), [S("load_model", 255, 1)], ("torch.answer", "missing")),
        (lying(load_model=refuse), [S("load_model", 255)], ("torch.unread", "load_model: Refused: no such luck: N")),
        (lying(load_model=refuse), [S("load_model")], ("torch.unread", "load_model: Refused: no such luck: N")),
    ],
)
def test_a_module_that_is_loaded_otherwise_is_found(library: type[Honest], steps: list, finding: tuple[str, str]):
    program = VOCABULARY.encode([S("tensor", 0, 3), S("tensor", 0, 3), S("save_model"), *steps])
    assert found(library, program) == [finding]


def test_a_tensor_without_bytes_is_missing_unless_it_stands_in_the_file():
    """It shares nothing with the other name that has the same memory."""
    steps = [
        S("tensor", 0, 5),
        S("name", NAMES.index("''")),
        S("view", 0, V["alias"]),
        S("save"),
        S("load_model", 0, 1),
    ]
    library = loading(lambda model, answer: (["t0"], [""]))
    assert found(library, VOCABULARY.encode(steps)) == []


def test_a_refusal_of_a_model_that_does_not_fit_is_right():
    for model in (1, 2, 4):
        program = VOCABULARY.encode([S("tensor", 0, 3), S("tensor", 0, 3), S("save_model"), S("load_model", model)])
        assert found(lying(load_model=refuse), program) == []


class Shared(Honest):
    """One whose loader gives the same memory each time."""

    kept: Any = None

    def load(self, raw: bytes) -> Any:
        self.kept = self.kept or super().load(raw)
        return self.kept


@pytest.mark.parametrize(
    ("library", "call", "finding"),
    [
        (lying(load=lambda self, raw: {n: x + 1 for n, x in Honest.load(self, raw).items()}), S("load"), ("torch.read", "load: bytes")),
        (lying(load=lambda self, raw: {}), S("load"), ("torch.read", "load: names")),
        (lying(load_file=refuse), S("load_file"), ("torch.unread", "load_file: Refused: no such luck: N")),
        (Shared, S("twice"), ("torch.twice", "load: values")),
    ],
)  # fmt: skip
def test_a_lying_reader_is_found(library: type[Honest], call: Any, finding: tuple[str, str]):
    assert found(library, VOCABULARY.encode([*TWO, S("save"), call])) == [finding]


def test_a_refusal_of_what_is_sound_is_found_and_of_what_is_not_dense_is_right():
    lazy = lying(save=refuse)
    assert found(lazy, VOCABULARY.encode([*TWO, S("save")])) == [("torch.refused", "save: Refused: no such luck: N")]
    assert found(lazy, VOCABULARY.encode([S("tensor", 0, 3, L["flipped"]), S("save")])) == []
    assert found(lazy, VOCABULARY.encode([S("tensor", 0, 3), S("view"), S("save")])) == []


def test_a_writer_that_changes_its_mind_is_found():
    class Fickle(Honest):
        calls = 0

        def save(self, tensors: Any, metadata: Any = None) -> bytes:
            self.calls += 1
            return pack([("a", "F32", (2, 3), self.kit.raw(tensors["a"]))] if self.calls < 2 else [], metadata)

    assert found(Fickle, VOCABULARY.encode([S("tensor", 0, 3), S("save"), S("again")])) == [("torch.unstable", "bytes")]
