"""The helpers of reproducers: how a script ends, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.findings import crashes
from harness.format.encode import pack
from harness.parsers.registry import Parser
from tests.triage.reproducing import kit

HEAD = "from _kit import *\nfrom _tools import *\nclass SafetensorError(Exception): pass\n"


def ends(tmp_path: Path, code: str, site: Path | None = None, *flags: str) -> tuple[int, str, str]:
    crashes.put_kit(tmp_path)
    (tmp_path / "script.py").write_text(HEAD + code)
    done = subprocess.run(
        [sys.executable, *flags, str(tmp_path / "script.py")],
        env={"PATH": os.environ["PATH"]} | ({"PYTHONPATH": str(site)} if site else {}),
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.strip(), done.stderr.strip()


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("pass", 0, "does not show"),
        ("assert 1 + 1 == 3", 1, "shows: assert 1 + 1 == 3"),
        ("assert 1 + 1 == 3, 'it is two'", 1, "shows: it is two"),
        ("1 / 0", 2, "cannot tell: ZeroDivisionError: division by zero"),
        ("import nothing_of_that_name", 2, "cannot tell: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        # An assertion of a library is none of the script.
        ("import json\njson.loads = eval('lambda x: (_ for _ in ()).throw(AssertionError(x))', {'__name__': 'json'})\njson.loads('no')",
         2, "cannot tell: AssertionError: no"),
        ("with raises('KeyError', \"'_'\"):\n    {}['a']", 1, "shows: KeyError: 'a'"),
        ("with raises('KeyError'):\n    1 / 0", 2, "cannot tell: ZeroDivisionError: division by zero"),
        ("with raises('KeyError'):\n    pass", 0, "does not show"),
        ("with raises('KeyError'):\n    raise SafetensorError('no')", 0, "does not show"),
        ("with raises('OSError', right='IsADirectoryError'):\n    open('/')", 0, "does not show"),
        ("with raises('ValueError', 'no _ of size N'):\n    raise ValueError('no array  of size 3')", 1, "shows: "),
        ("with raises('ValueError', 'no _ of size N'):\n    raise ValueError('something else')", 2, "cannot tell: ValueError"),
        ("with raises():\n    1 / 0", 1, "shows: ZeroDivisionError"),
        ("with raises('TypeError'):\n    (lambda: 0)(backend='pread')", 1, "shows: TypeError"),
        ("with raises('KeyError'):\n    (lambda: 0)(backend='pread')", 2, "cannot tell: <lambda>() got an unexpected"),
        ("with refused():\n    pass", 1, "shows: no error"),
        ("with refused():\n    raise SafetensorError('no')", 0, "does not show"),
        ("with refused('IndexError'):\n    [][0]", 0, "does not show"),
        ("with refused():\n    [][0]", 2, "cannot tell: IndexError"),
        ("with accepted():\n    raise SafetensorError('no')", 1, "shows: SafetensorError: no"),
        ("with accepted('yes'):\n    raise SafetensorError('no')", 2, "cannot tell: SafetensorError: no"),
        ("with accepted():\n    pass", 0, "does not show"),
        ("assert not taken(lambda: None)", 1, "shows: "),
        ("assert not taken(lambda: int('x'))", 0, "does not show"),
        ("assert not taken(lambda: 1 / 0)", 1, "shows: "),
        ("assert outcome(lambda: 1 / 0) == outcome(lambda: 1)", 1, "shows: "),
        ("assert ended(lambda: os.kill(os.getpid(), 7)) != 'SIGBUS'", 1, "shows: "),
        ("assert ended(lambda: os.kill(os.getpid(), 11)) != 'SIGBUS'", 0, "does not show"),
        ("assert ended(lambda: time.sleep(9), seconds=0.2) != 'hang'", 1, "shows: "),
        ("assert ended(lambda: bytes(1 << 40), memory_mb=64) != 'memory'", 1, "shows: "),
        ("assert ended(lambda: bytes(1), memory_mb=64) != 'memory'", 0, "does not show"),
        ("assert ended(lambda: 1 / 0) != 'SIGBUS'", 2, "cannot tell: ZeroDivisionError: division by zero"),
        ("kept = []\nassert not grows('blocks', lambda: kept.append(object()))", 1, "shows: "),
        ("assert not grows('descriptors', lambda: os.dup(0) and None)", 1, "shows: "),
        ("assert not grows('objects', lambda: [object()])", 0, "does not show"),
        ("assert not grows('bytes', lambda: bytes(100))", 0, "does not show"),
        ("assert not grows('mappings', lambda: None)", 0, "does not show"),
        ("assert took_mb(lambda: bytearray(b'x') * (200 << 20)) < 100", 1, "shows: "),
        ("assert slower(lambda: sum(range(4000000)), lambda: sum(range(1000000))) < 2", 1, "shows: "),
        ("os.environ['PATH'] = ''\ncargo('fn main() {}', '0.8.0')", 2, "cannot tell: cargo is not installed"),
    ],
)  # fmt: skip
def test_a_script_ends_with_what_it_saw(tmp_path: Path, code: str, status: int, words: str):
    ended, out, error = ends(tmp_path, code)
    said = error if status == 2 else out.splitlines()[-1]
    assert (ended, "Traceback" in error) == (status, False), out + error
    assert said.startswith(words), out + error
    assert len(error.splitlines()) == (status == 2)


def test_python_without_assertions_cannot_tell(tmp_path: Path):
    assert ends(tmp_path, "assert False", None, "-O")[0] == 2


def test_costs_are_counted_in_a_child(tmp_path: Path, wheel_parser: Parser):
    raw = pack([("a", "U8", (1 << 20,), bytes(1 << 20))])
    code = f"total, peak, result = allocated('', 'numpy.zeros(1 << 20)', {raw[:80]!r})\nassert total < 8 << 20\n"
    status, out, error = ends(tmp_path, code.replace("numpy.", "safetensors.numpy.np."), wheel_parser.site)
    assert status == 1, out + error
    assert "bytes allocated" in out


def test_files_are_written_alike_by_every_release(tmp_path: Path, wheel_parser: Parser):
    code = """
raw = serialized({"a": ("uint8", [2], b"xy")}, {"k": "v"})
assert content(raw) == ({"a": ("U8", [2], b"xy")}, {"k": "v"}), content(raw)
import safetensors
assert rewritten(safetensors.deserialize(raw), {"k": "v"}) == raw
assert open(stored(raw), "rb").read() == raw
assert os.path.getsize(stored(raw, size=1000)) == 1000
"""
    assert ends(tmp_path, code, wheel_parser.site)[0] == 0


def test_a_file_is_read_by_the_words_of_the_format():
    file, content = kit().file, kit().content
    header = b'{"__metadata__":{"k":"v"},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}'
    assert content(file(header, b"\1\2")) == ({"a": ("U8", [2], b"\1\2")}, {"k": "v"})
    for wrong in (
        b'{}"__metadata__":{}', b'{"__metadata__":{"k":1}}', b'{"__metadata__":{"k":"v","k":"w"}}',
        b'{"__metadata__":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}', b'{"a":{}}', b"[]",
    ):  # fmt: skip
        assert isinstance(content(file(wrong)), str)


def test_equal_is_equal_in_type_and_bytes():
    numpy, same = pytest.importorskip("numpy"), kit().same
    assert same(numpy.zeros((2, 1)), numpy.zeros((2, 1)))
    assert same({"a": numpy.float32(1)}, {"a": numpy.array(1, "float32")})
    for value, wanted in (
        (numpy.zeros(2), numpy.zeros((2, 1))),
        (numpy.zeros(2, "int8"), numpy.zeros(2, "uint8")),
        (1, True),
        ([1], numpy.ones(1)),
    ):
        assert not same(value, wanted)
    assert kit().dtype_of(numpy.zeros(1, "complex64")) == "C64"
