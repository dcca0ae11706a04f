"""The peer Hypothesis: properties of files, round trips and parts as its users write them, without coverage.

Each property draws examples at random until one fails. The failed example is kept as a pickle, unshrunk, to spend no time on
it. ``python -m harness.bench.peers.properties PARSER SEED FOLDER``; ``--replay FILE`` runs one example.
"""

from __future__ import annotations

import itertools
import json
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from harness.bench.peers import peer
from harness.bench.peers.builds import Builds
from harness.bench.peers.peer import CALLS, EndingPeer, Session
from harness.bench.runner import Say
from harness.parsers import registry, runtime

_EXAMPLES = 200
_FAILED = 77
_DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64",
           "complex64", ">i4", ">f8")  # fmt: skip
#: Dtypes of files, and their bits.
_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "F16": 16, "I32": 32, "F32": 32, "I64": 64, "F64": 64, "C64": 64, "F4": 4,
         "F8_E5M2": 8, "F6_E2M3": 6}  # fmt: skip

_names = st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda name: name != "__metadata__")
# Release 0.8.0 writes an empty dict of metadata without tensors as broken JSON. A user would report it, and leave it out.
_metadata = st.none() | st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=8), st.text(max_size=8), min_size=1, max_size=3
)
_shapes = st.lists(st.integers(0, 4), max_size=5) | st.lists(st.integers(0, 2), max_size=10)
_arrays = arrays_of.arrays(
    st.sampled_from(_DTYPES), arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
)
_large = st.builds(np.full, st.integers(1_000, 20_000), st.integers(0, 9), st.sampled_from(_DTYPES))
_lies = st.none() | st.tuples(st.sampled_from(("dtype", "shape", "begin", "end", "rest", "length")), st.integers(-9, 9) | st.integers())  # fmt: skip


class Hypothesis(EndingPeer):
    """Hypothesis alone."""

    name = "hypothesis"
    title = "Hypothesis alone: files, round trips, parts"
    bugs = CALLS
    fine = EndingPeer.fine | {143}

    def prepare(self, builds: Builds, say: Say) -> None:
        """Nothing is compiled beyond the build."""
        self._parser = builds.wheel.name

    def command(self, session: Session) -> list[str]:
        """It has no corpus: a later session has another seed."""
        found = session.place / "found"
        found.mkdir(parents=True, exist_ok=True)
        return peer.python("properties", self._parser, str(session.seed), str(found))

    def replay(self, path: Path) -> list[str]:
        """One example, without Hypothesis."""
        return peer.python("properties", self._parser, "--replay", str(path))


@st.composite
def _files(draw: st.DrawFn) -> tuple[bytes, dict[str, tuple[str, list[int], bytes]] | None]:
    """A file, and its tensors where it is valid."""
    tensors: dict[str, tuple[str, list[int], bytes]] = {}
    for name, dtype, shape in draw(st.lists(st.tuples(_names, st.sampled_from(tuple(_BITS)), _shapes), max_size=4)):
        bits = int(np.prod(shape, dtype=object)) * _BITS[dtype]
        if bits % 8 == 0 and bits < 1 << 16:
            tensors[name] = dtype, shape, os.urandom(0) + bytes(at % 251 for at in range(bits // 8))
    lie, header, buffer = draw(_lies), {}, b""
    lied = draw(st.sampled_from(sorted(tensors))) if tensors and lie else ""
    metadata: Any = draw(_metadata)
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (dtype, shape, data) in tensors.items():
        entry: Any = {"dtype": dtype, "shape": shape, "data_offsets": [len(buffer), len(buffer) + len(data)]}
        buffer += data
        if lie and name == lied:
            kind, by = lie
            if kind == "dtype":
                entry["dtype"] = list(_BITS)[by % len(_BITS)]
            elif kind == "shape":
                entry["shape"] = [*shape, abs(by)]
            elif kind in ("begin", "end"):
                entry["data_offsets"][kind == "end"] += by
        header[name] = entry
    text = json.dumps(header, ensure_ascii=draw(st.booleans())).encode()
    length = len(text)
    if lie and lie[0] == "rest":
        buffer += bytes(abs(lie[1]) % 32)
    elif lie and lie[0] == "length":
        length = (length + lie[1]) % (1 << 64)
    return length.to_bytes(8, "little") + text + buffer, None if lie else tensors


_indices = st.one_of(
    st.integers(-6, 6),
    st.builds(slice, st.none() | st.integers(0, 6), st.none() | st.integers(0, 7), st.none() | st.integers(1, 4)),
    st.lists(st.integers(0, 4), max_size=3),
)


def read(file: tuple[bytes, dict[str, tuple[str, list[int], bytes]] | None]) -> None:
    """A valid file is read as it was made; of another one, the tensors are disjoint parts of the buffer, or it is refused."""
    from safetensors import SafetensorError, deserialize

    data, tensors = file
    try:
        found = deserialize(data)
    except SafetensorError:
        assert tensors is None, "a valid file is refused"
        return
    if tensors is not None:
        told = {name: (one["dtype"], one["shape"], bytes(one["data"])) for name, one in found}
        assert told == tensors, "other tensors than were written"
    start = 8 + int.from_bytes(data[:8], "little")
    assert start + sum(len(one["data"]) for _, one in found) == len(data), "the tensors are not the whole buffer"
    for _, one in found:
        bits = int(np.prod(one["shape"], dtype=object)) * _BITS[one["dtype"]]
        assert bits == 8 * len(one["data"]), "a size that is not that of dtype and shape"


def load(data: bytes) -> None:
    """Any bytes are read or refused."""
    from safetensors import SafetensorError, deserialize

    try:
        deserialize(data)
    except SafetensorError:
        return


def round_trip(case: tuple[dict[str, Any], dict[str, str] | None]) -> None:
    """Arrays and metadata come back as they were saved, from bytes and from a file, one by one and together."""
    from safetensors import safe_open
    from safetensors.numpy import load, save, save_file

    arrays, metadata = case
    _same(load(save(arrays, metadata)), arrays)
    with tempfile.TemporaryDirectory(prefix="harness-peer-") as folder:
        path = Path(folder, "file")
        save_file(arrays, path, metadata)
        with safe_open(path, "np") as file:
            assert set(file.keys()) == set(arrays), "names"
            assert (file.metadata() or {}) == (metadata or {}), "metadata"
            _same({name: file.get_tensor(name) for name in arrays}, arrays)
            before = {name: array.copy() for name, array in arrays.items()}
            save_file({name: np.zeros_like(array) for name, array in arrays.items()}, path, metadata)
            _same({name: file.get_tensor(name) for name in arrays}, before)


def parts(case: tuple[Any, list[tuple[Any, ...]]]) -> None:
    """Parts of a tensor are those that numpy takes, one after the other. Unsupported ones may be refused."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    array, indices = case
    with tempfile.TemporaryDirectory(prefix="harness-peer-") as folder:
        path = Path(folder, "file")
        save_file({"a": array}, path)
        with safe_open(path, "np") as file:
            part = file.get_slice("a")
            for index in indices:
                try:
                    expected = array[index]
                except IndexError:
                    expected = None
                try:
                    found = part[index]
                except Exception:
                    assert expected is None or not _supported(index, array.shape), "a part is refused"
                    continue
                if expected is not None:
                    _same({"a": found}, {"a": np.asarray(expected)})


def _supported(index: tuple[Any, ...], shape: tuple[int, ...]) -> bool:
    """Whether the library promises such a part: numbers within the shape, and parts that are not empty."""
    if len(index) > len(shape):
        return False
    for one, dim in zip(index, shape, strict=False):
        if isinstance(one, slice):
            start, stop = one.start or 0, dim if one.stop is None else one.stop
            if not start < stop <= dim:
                return False
        elif not isinstance(one, int):
            return False
    return True


def _same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys(), "names"
    for name, array in expected.items():
        one = found[name]
        assert (one.dtype, one.shape) == (array.dtype.newbyteorder("="), array.shape), "dtype or shape"
        assert one.tobytes() == array.astype(one.dtype).tobytes(), "values"


_PROPERTIES: dict[str, tuple[Callable[[Any], None], Any]] = {
    "read": (read, _files()),
    "load": (
        load,
        st.binary(max_size=64) | st.binary(max_size=40).map(lambda text: len(text).to_bytes(8, "little") + text),
    ),
    "round_trip": (round_trip, st.tuples(st.dictionaries(_names, _arrays | _large, max_size=12), _metadata)),
    "parts": (parts, st.tuples(_arrays, st.lists(st.lists(_indices, max_size=3).map(tuple), min_size=1, max_size=4))),
}


def _fuzz(first: int, found: Path) -> None:
    """Draw examples of each property in turns, until one fails."""
    few = settings(
        max_examples=_EXAMPLES, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    # They have no types for a strategy and a function that are values.
    seeded: Any = seed
    drawn: Any = given
    tests: list[Any] = [
        few(drawn(strategy)(_kept(name, check, found))) for name, (check, strategy) in _PROPERTIES.items()
    ]
    for number in itertools.count(first * 1_000_003):
        for test in tests:
            seeded(number)(test)()


def _kept(name: str, check: Callable[[Any], None], found: Path) -> Callable[[Any], None]:
    """The property. It keeps an example that fails, and ends the process."""

    def test(example: Any) -> None:
        kept = pickle.dumps((name, example))
        try:
            check(example)
        except BaseException as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            (found / f"{len(list(found.iterdir()))}").write_bytes(kept)
            os._exit(_FAILED)

    return test


def main(arguments: Sequence[str]) -> None:
    """Fuzz, or replay."""
    name, *options = arguments
    runtime.load(registry.find(name, flavour="wheel"))
    if options[0] == "--replay":
        kind, example = pickle.loads(Path(options[1]).read_bytes())  # noqa: S301 - a file of our own
        _PROPERTIES[kind][0](example)
        return
    _fuzz(int(options[0]), Path(options[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
