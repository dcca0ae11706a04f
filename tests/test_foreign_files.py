from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import foreign_files
from harness.foreign_files import HEAD, identify
from harness.format.encode import pack
from harness.format.judge import judge
from harness.format.rules import HEADER_LIMIT
from harness.mutate.generate import generate
from harness.mutate.rng import Rng

GOOD = pack([("a", "F32", (100,), bytes(400))], {"format": "pt"})
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
# Written by onnx 1.23 and its helper make_model: one Identity node; the first without a producer.
ONNX = bytes.fromhex(
    "080e3a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a020801"
    "4202101c"
)
ONNX_OF_TORCH = b"\x08\x0e\x12\x07pytorch\x1a\x032.1" + ONNX[2:]
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489")
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb") + bytes(100)
WEBP = b"RIFF\x24\0\0\0WEBPVP8 " + bytes(40)
GGUF = b"GGUF\3\0\0\0" + bytes(16)


def numpy_file() -> bytes:
    file = io.BytesIO()
    numpy.save(file, numpy.arange(5))
    return file.getvalue()


def numpy_archive() -> bytes:
    file = io.BytesIO()
    numpy.savez(file, a=numpy.arange(5))
    return file.getvalue()


def zip_archive(name: str = "model.safetensors") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, GOOD)
    return file.getvalue()


def tar_archive() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("model.safetensors")
        entry.size = len(GOOD)
        archive.addfile(entry, io.BytesIO(GOOD))
    return file.getvalue()


def told(data: bytes) -> str:
    found = identify(data, len(data))
    return found.kind if found else ""


FILES = {
    "git-lfs-pointer": POINTER,
    "gguf": GGUF,
    "npy": numpy_file(),
    "npz": numpy_archive(),
    "zip": zip_archive(),
    "pytorch": zip_archive("archive/data.pkl"),
    "gzip": gzip.compress(GOOD),
    "bzip2": bz2.compress(GOOD),
    "xz": lzma.compress(GOOD),
    "tar": tar_archive(),
    "onnx": ONNX,
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(40),
    "image": PNG,
    "pdf": b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n" + bytes(40),
    "html": b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title>",
    "xml": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "json": b'{"architectures": ["LlamaModel"], "vocab_size": 32000}',
    "index": b'{"metadata": {"total_size": 4}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}',
    "text": b"Entry not found",
    "empty": b"",
    "zeros": bytes(4096),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_of_other_formats_are_named(kind: str):
    assert told(FILES[kind]) == kind
    assert judge(FILES[kind]).verdict == "reject"


@pytest.mark.parametrize(
    ("data", "kind"), [(JPEG, "image"), (WEBP, "image"), (b"GIF89a" + bytes(20), "image"), (ONNX_OF_TORCH, "onnx")]
)
def test_other_members_of_a_kind_are_named(data: bytes, kind: str):
    assert told(data) == kind


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [1, 100_000])
def test_pickles_are_named(protocol: int, size: int):
    assert told(pickle.dumps({"weight": list(range(size))}, protocol)) == "pickle"


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.parametrize(("zipped", "kind"), [(True, "pytorch"), (False, "pickle")])
def test_what_torch_saves_is_named(tmp_path: Path, zipped: bool, kind: str):
    import torch

    torch.save({"a": torch.zeros(3)}, tmp_path / "model.bin", _use_new_zipfile_serialization=zipped)
    assert told((tmp_path / "model.bin").read_bytes()) == kind


def test_the_words_say_what_to_do():
    assert str(identify(POINTER, len(POINTER))) == "This is a Git LFS pointer; run git lfs pull"
    assert "JPEG" in str(identify(JPEG, len(JPEG)))
    text = b"Entry \x1b[31mnot\nfound"
    assert "\x1b" not in str(identify(text, len(text)))


@pytest.mark.parametrize("missing", [1, 400, 401, len(GOOD) - 10])
def test_a_download_that_stopped_says_how_much_is_there(missing: int):
    data = GOOD[: len(GOOD) - missing]
    found = identify(data, len(data))
    assert found is not None
    assert (found.kind, f"{len(data)} bytes of {len(GOOD)} are there" in found.what) == (
        "truncated",
        missing <= 400,
    )


@pytest.mark.parametrize("end", ["9" * 4300, str(2**64), "-1", "true"])
def test_an_offset_that_no_file_can_have_is_left_to_the_judge(end: str):
    header = f'{{"a":{{"dtype":"U8","shape":[1],"data_offsets":[0,{end}]}}}}'.encode()
    data = len(header).to_bytes(8, "little") + header
    assert identify(data, len(data)) is None


@pytest.mark.parametrize("size", range(1, 8))
def test_a_file_of_a_few_bytes_is_named(size: int):
    assert told(GOOD[:size]) == "truncated"


def test_a_cut_pickle_a_cut_onnx_and_noise_are_not_named():
    assert told(b"\x80\x04\x95" + bytes(6)) == ""
    assert told(ONNX[:-8]) == ""
    assert told(b"\x08\x01\x1a" + b"\xff" * 20) == ""
    assert told(b"\x80\xff" * 20) == ""


@given(st.integers(1, 1 << 32))
def test_no_valid_file_is_named(seed: int):
    data = generate(Rng(seed))
    assert judge(data).verdict == "accept"
    assert told(data) == ""


@given(st.integers(2, HEADER_LIMIT))
def test_no_header_is_named_by_its_length(length: int):
    head = length.to_bytes(8, "little") + b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' + b" " * 300
    assert identify(head, 8 + length) is None


@given(st.binary(max_size=80), st.sampled_from([*FILES.values(), JPEG, WEBP, ONNX_OF_TORCH, GOOD]), st.integers(0, 80))
def test_damage_of_any_kind_ends_in_an_answer(noise: bytes, file: bytes, at: int):
    data = file[:at] + noise + file[at + len(noise) :]
    found = identify(data, len(data))
    assert found is None or (judge(data).verdict == "reject" and found.advice)


@pytest.mark.parametrize("tail", [b"", b"x"])
def test_headers_past_the_head_are_read_from_a_file(tmp_path: Path, tail: bytes):
    tensors = [(f"{number:05}", "U8", (1,), b"x") for number in range(2000)]
    data = pack(tensors)
    assert int.from_bytes(data[:8], "little") > HEAD
    (tmp_path / "file").write_bytes(data[:-1] + tail)
    found = foreign_files.of_file(tmp_path / "file")
    assert (found.kind if found else "") == ("" if tail else "truncated")


@pytest.mark.parametrize(
    "header", [b'{"a":1}', b'{"a":{"data_offsets":[0]}}', b'{"a":{"data_offsets":[0,"9"]}}', b"{[", b"{" * 100_000]
)
def test_a_header_that_is_no_layout_is_left_to_the_judge(header: bytes):
    assert told(len(header).to_bytes(8, "little") + header) == ""


def test_a_file_that_is_missing_raises(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        foreign_files.of_file(tmp_path / "missing")


def test_a_pointer_with_line_ends_of_windows_is_named():
    assert told(POINTER.replace(b"\n", b"\r\n")) == "git-lfs-pointer"


@pytest.mark.parametrize(
    ("text", "error"), [(b'{"error":"Not found"}', True), (b'{"message": 1}', True), (b'{"a": 1}', False)]
)
def test_a_json_with_a_message_is_an_error_of_a_server(text: bytes, error: bool):
    found = identify(text, len(text))
    assert found is not None
    assert (found.kind, "error message of a server" in found.what) == ("json", error)


@pytest.mark.parametrize("data", [JPEG, b"GGUF" + bytes(20), b'{"a": 1}'])
def test_the_advice_holds_for_a_file_whose_name_ends_in_safetensors(data: bytes):
    found = identify(data, len(data))
    assert found is not None
    assert found.advice.startswith("whatever its name says, it is no safetensors file")
