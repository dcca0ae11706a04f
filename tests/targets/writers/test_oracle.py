"""The honest writer passes; a writer or reader that lies in one way is found in that way."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy
import pytest

from harness.format.encode import pack
from harness.format.judge import judge
from harness.observation import ACCEPT
from harness.oracles.oracle import Execution
from harness.programs import arrays
from harness.programs.saving import NAMES
from harness.targets.writers import array_values, oracle
from harness.targets.writers.array_layouts import LAYOUTS
from harness.targets.writers.program import PATHS, VOCABULARY
from harness.targets.writers.target import Writers

S = VOCABULARY.step
FILE = [S("tensor", 2, 3), S("tensor", 2, 3), S("entry"), S("entry", 1)]
PROGRAM = VOCABULARY.encode([*FILE, S("save"), S("load"), S("deserialize"), S("safe_open"), S("again"), S("equal")])
AGAIN = VOCABULARY.encode([*FILE, S("save"), S("resave"), S("load_file")])
TO_FILE = VOCABULARY.encode([*FILE, S("save_file")])


class Refused(Exception):
    """The documented error of the stand-in."""


class Honest:
    """A library that writes and reads by the words of the format: our own encoder and judge."""

    calls = 0

    def save(self, tensors: dict[str, Any], metadata: Any = None) -> bytes:
        return pack(
            [
                (name, array_values.format_dtype(x.dtype), x.shape, array_values.little(x))
                for name, x in sorted(tensors.items())
            ],
            metadata,
        )

    def save_file(self, tensors: dict[str, Any], path: Any, metadata: Any = None) -> None:
        Path(path).unlink(missing_ok=True)
        Path(path).write_bytes(self.save(tensors, metadata))

    def load(self, raw: bytes) -> dict[str, Any]:
        header = judge(raw).header
        assert header is not None
        return {
            tensor.name: numpy.frombuffer(header.payload(raw, tensor), arrays.NUMPY_NAMES[tensor.dtype]).reshape(
                tensor.shape
            )
            for tensor in header.tensors
        }

    def load_file(self, path: str, *, backend: str) -> dict[str, Any]:
        return self.load(Path(path).read_bytes())

    def deserialize(self, raw: bytes) -> list[tuple[str, dict[str, Any]]]:
        return [
            (name, {"dtype": array_values.format_dtype(x.dtype), "shape": list(x.shape), "data": x.tobytes()})
            for name, x in self.load(raw).items()
        ]

    def metadata(self, raw: bytes) -> Any:
        header = judge(raw).header
        assert header is not None
        return header.metadata


class Opened:
    def __init__(self, library: Honest, path: str) -> None:
        self.library, self.raw = library, Path(path).read_bytes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def keys(self) -> list[str]:
        return list(self.library.load(self.raw))

    def get_tensor(self, name: str) -> Any:
        return self.library.load(self.raw)[name]

    def get_tensors(self) -> Any:
        return self.library.load(self.raw)

    def metadata(self) -> Any:
        return self.library.metadata(self.raw)


def found(kind: type[Honest], program: bytes = PROGRAM, *, fails: bool = False) -> list[tuple[str, str]]:
    library = kind()
    module: Any = SimpleNamespace(
        numpy=library,
        SafetensorError=Refused,
        deserialize=library.deserialize,
        serialize=lambda specs, metadata: library.save({name: _array(spec) for name, spec in specs.items()}, metadata),
        safe_open=lambda path, framework, backend: Opened(library, path),
    )
    observation = Writers().open(module)(program)
    assert fails or observation[0] == ACCEPT, observation[1]
    return [(one.rule.name, one.aspect) for one in oracle.check(Execution(program, observation))]


def _array(spec: dict[str, Any]) -> Any:
    (name,) = [name for code, name in arrays.NUMPY_NAMES.items() if arrays.WRITER_DTYPES[code] == spec["dtype"]]
    return numpy.frombuffer(spec["data"], name).reshape(spec["shape"])


def lying(**methods: Any) -> type[Honest]:
    return type("Lying", (Honest,), methods)


def writing(change: Callable[[dict[str, Any]], dict[str, Any]]) -> type[Honest]:
    """A writer that writes other tensors than it is given."""
    return lying(
        save=lambda self, tensors, metadata=None: Honest.save(self, change(dict(tensors)), metadata),
    )


def header(change: Callable[[dict[str, Any]], Any]) -> type[Honest]:
    """A writer that changes the header of what it writes."""

    def save(self: Honest, tensors: dict[str, Any], metadata: Any = None) -> bytes:
        raw = Honest.save(self, tensors, metadata)
        end = 8 + int.from_bytes(raw[:8], "little")
        text = json.dumps(change(json.loads(raw[8:end]))).encode()
        return len(text).to_bytes(8, "little") + text + raw[end:]

    return lying(save=save)


def without(tensors: dict[str, Any], name: str) -> dict[str, Any]:
    del tensors[name]
    return tensors


@pytest.mark.parametrize("program", [PROGRAM, AGAIN, TO_FILE])
def test_the_honest_library_passes(program: bytes):
    assert found(Honest, program) == []


@pytest.mark.parametrize("layout", range(len(LAYOUTS)), ids=[name or "plain" for name in LAYOUTS])
def test_it_passes_however_arrays_lie_in_memory(layout: int):
    steps = [S("tensor", dtype, 17, layout) for dtype in (0, array_values.DTYPES.index("'>i4'"), 6)]
    assert found(Honest, VOCABULARY.encode([*steps, S("save"), S("load"), S("equal"), S("resave")])) == []


def test_specs_pass_too():
    program = VOCABULARY.encode(
        [S("spec", 0, 3), S("spec", 1, 16), S("serialize"), S("load"), S("deserialize"), S("again")]
    )
    assert found(Honest, program) == []


@pytest.mark.parametrize(
    ("library", "aspect"),
    [
        (writing(lambda t: {"a": t["b"], "b": t["a"]}), "bytes/plain"),
        (writing(lambda t: without(t, "b")), "names"),
        (writing(lambda t: {**t, "a": t["a"].astype("float64")}), "dtype/plain"),
        (writing(lambda t: {**t, "a": t["a"].T}), "shape/plain"),
        (lying(save=lambda self, tensors, metadata=None: Honest.save(self, tensors)), "metadata"),
        (header(lambda head: {**head, "__metadata__": {"format": 1}}), "metadata.strings/value-not-string"),
        (header(lambda head: {**head, "a": {**head["a"], "data_offsets": head["b"]["data_offsets"]}}), "layout.hole/start"),
        (lying(save=lambda self, tensors, metadata=None: b""), "framing.length/empty"),
    ],
)  # fmt: skip
def test_a_lying_writer_is_found_in_its_lie(library: type[Honest], aspect: str):
    program = VOCABULARY.encode([*FILE, S("save"), S("again")])
    assert found(library, program) == [("roundtrip.written", f"numpy: {aspect}")]


def test_what_is_written_wrongly_is_found_once():
    """Not again by each call that reads it back."""
    assert len(found(writing(lambda t: {"a": t["b"], "b": t["a"]}))) == 1


def test_a_writer_that_takes_memory_as_it_lies_is_found_by_layout():
    def save(self: Honest, tensors: dict[str, Any], metadata: Any = None) -> bytes:
        plain = {}
        for name, x in tensors.items():
            owner = x
            while isinstance(owner.base, numpy.ndarray):
                owner = owner.base
            start = x.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
            raw = owner.reshape(-1, order="A").view("uint8")[start : start + x.nbytes].tobytes()
            plain[name] = numpy.frombuffer(raw, x.dtype).reshape(x.shape)
        return Honest.save(self, plain, metadata)

    words = {}
    for number, layout in enumerate(LAYOUTS[6:], 6):
        if layout != "transposed":  # its base is no plain array
            ((_, words[layout]),) = found(lying(save=save), VOCABULARY.encode([S("tensor", 2, 3, number), S("save")]))
    assert words == {layout: f"numpy: bytes/{layout}" for layout in words}


def test_a_writer_of_what_no_file_can_hold_is_found():
    program = VOCABULARY.encode([S("tensor"), S("name", NAMES.index("'__metadata__'")), S("save")])
    assert found(Honest, program) == [("roundtrip.written", "numpy: accepted/name/__metadata__")]
    for dtype, word in (
        ("'complex128'", "complex"),
        ("'M8[s]'", "time"),
        ("[('a', '<f4'), ('b', '>i2')]", "structured"),
    ):
        program = VOCABULARY.encode([S("tensor", array_values.DTYPES.index(dtype)), S("save")])
        assert found(Honest, program) == [("roundtrip.written", f"numpy: accepted/dtype/{word}")]


def refuse(*_: Any, **__: Any) -> Any:
    raise Refused("no such luck: 17")


def test_a_refusal_of_what_a_file_can_hold_is_found_and_of_what_is_not_dense_is_documented():
    lazy = lying(save=refuse)
    assert found(lazy, fails=True) == [("roundtrip.refused", "numpy: Refused: no such luck: N")]
    assert found(lazy, VOCABULARY.encode([S("tensor", 0, 3, LAYOUTS.index("fortran")), S("save")]), fails=True) == []
    assert found(lazy, VOCABULARY.encode([S("tensor", array_values.ODD_DTYPES), S("save")]), fails=True) == []


def test_a_refusal_of_a_path_is_documented_where_no_file_can_be():
    lazy = lying(save_file=refuse)
    assert found(lazy, fails=True, program=TO_FILE) == [("roundtrip.refused", "numpy: Refused: no such luck: N")]
    missing = VOCABULARY.encode([S("save_file", PATHS.index("missing-folder"))])
    assert found(lazy, missing, fails=True) == []


@pytest.mark.parametrize(
    ("library", "finding"),
    [
        (lying(load=lambda self, raw: {n: x + 1 for n, x in Honest.load(self, raw).items()}), "load: bytes"),
        (lying(load=lambda self, raw: {n: x.T for n, x in Honest.load(self, raw).items()}), "load: shape"),
        (lying(load=lambda self, raw: {n: x.astype("float64") for n, x in Honest.load(self, raw).items()}), "load: dtype"),
        (lying(load=lambda self, raw: {n: x.astype(">i8") for n, x in Honest.load(self, raw).items()}), "load: dtype"),
        (lying(load=lambda self, raw: {n: x.tolist() for n, x in Honest.load(self, raw).items()}), "load: dtype"),
        (lying(load=lambda self, raw: without(Honest.load(self, raw), "a")), "load: names"),
        (lying(deserialize=lambda self, raw: Honest.deserialize(self, raw)[:1]), "deserialize: names"),
        (lying(metadata=lambda self, raw: None), "safe_open: metadata"),
    ],
)  # fmt: skip
def test_a_lying_reader_is_found_in_its_lie(library: type[Honest], finding: str):
    program = VOCABULARY.encode([*FILE, S("save"), S("load"), S("deserialize"), S("safe_open", 0, 1)])
    assert ("roundtrip.read", finding) in found(library, program, fails=True)


def test_a_reader_that_refuses_what_was_written_is_found():
    program = VOCABULARY.encode([*FILE, S("save"), S("load")])
    assert found(lying(load=refuse), program, fails=True) == [("roundtrip.unread", "load: Refused: no such luck: N")]


def padded(self: Honest, tensors: dict[str, Any], metadata: Any = None) -> bytes:
    """Another amount of padding each time."""
    raw = Honest.save(self, tensors, metadata)
    end = 8 + int.from_bytes(raw[:8], "little")
    self.calls += 1
    spaces = b" " * (8 * self.calls)
    return (end - 8 + len(spaces)).to_bytes(8, "little") + raw[8:end] + spaces + raw[end:]


def shuffled(self: Honest, tensors: dict[str, Any], metadata: Any = None) -> bytes:
    """Another order of metadata each time."""
    self.calls += 1
    rows = list((metadata or {}).items())
    return Honest.save(self, tensors, dict(rows if self.calls % 2 else reversed(rows)))


def unsorted(self: Honest, tensors: dict[str, Any], metadata: Any = None) -> bytes:
    """Tensors in the order in which they are given."""
    return pack(
        [(n, array_values.format_dtype(x.dtype), x.shape, array_values.little(x)) for n, x in tensors.items()], metadata
    )


def test_files_that_differ_from_call_to_call_are_found():
    program = VOCABULARY.encode([*FILE, S("save"), S("again")])
    assert found(lying(save=padded), program) == [("roundtrip.unstable", "bytes")]
    assert found(lying(save=shuffled), program) == [("roundtrip.unstable", "metadata-order")]


def test_files_that_depend_on_the_order_of_names_are_found():
    program = VOCABULARY.encode([*FILE, S("save"), S("equal")])
    assert found(lying(save=unsorted), program) == [("roundtrip.equal", "bytes")]


def test_files_that_change_when_they_are_saved_again_are_found():
    program = VOCABULARY.encode([*FILE, S("save"), S("resave")])
    assert found(lying(save=padded), program) == [("roundtrip.resaved", "bytes")]
    assert found(lying(load=refuse), program, fails=True) == [
        ("roundtrip.resaved", "refused: Refused: no such luck: N")
    ]
    # Of the order of metadata speaks "again" alone.
    assert found(lying(save=shuffled), program) == []


def test_a_file_that_is_not_there_or_not_for_others_is_found():
    def private(self: Honest, tensors: Any, path: Any, metadata: Any = None) -> None:
        Honest.save_file(self, tensors, path, metadata)
        os.chmod(path, 0o600)

    def public(self: Honest, tensors: Any, path: Any, metadata: Any = None) -> None:
        Honest.save_file(self, tensors, path, metadata)
        os.chmod(path, 0o666)

    assert found(lying(save_file=private), TO_FILE) == [("roundtrip.mode", "new")]
    assert found(lying(save_file=public), TO_FILE) == [("roundtrip.mode", "new/wider")]
    nothing = lying(save_file=lambda self, tensors, path, metadata=None: None)
    assert found(nothing, TO_FILE) == [("roundtrip.written", "numpy: nothing")]


def test_a_temporary_file_that_is_left_is_found():
    def untidy(self: Honest, tensors: Any, path: Any, metadata: Any = None) -> None:
        Honest.save_file(self, tensors, path, metadata)
        Path(f"{path}.tmp").touch()

    assert found(lying(save_file=untidy), TO_FILE) == [("roundtrip.left-over", "save_file")]
