"""Real replays on a real coverage build, held against llvm-cov's own report and against known inputs."""

from __future__ import annotations

import re
import subprocess

import pytest

from harness.coverage import outputs
from harness.coverage.collect import collect
from harness.coverage.llvm import rust_coverage
from harness.errors import HarnessError
from harness.parsers import toolchain
from tests.framing import framed

EMPTY = framed("{}")
ONE = framed('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"1234")
OVERLAP = framed(
    '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}', b"123"
)
JUNK = b"junk"


def test_numbers_are_those_of_llvm_cov(broad_use, tmp_path):
    """Regions and lines, covered and in all, file by file, as ``llvm-cov report`` and its LCOV export say."""
    parser, profile = broad_use
    files = {file.path: file for file in rust_coverage(parser, [profile], tmp_path)}
    merged = tmp_path / "merged.profdata"
    report = subprocess.run(
        [toolchain.llvm_tool("llvm-cov"), "report", parser.module, f"-instr-profile={merged}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert set(files) == {
        "safetensors/src/slice.rs", "safetensors/src/tensor.rs", "bindings/python/src/lib.rs",
    }  # fmt: skip
    for path, file in files.items():
        (row,) = (line for line in report.splitlines() if re.match(rf"\S*{path}\s", line))
        total, missed = map(int, row.split()[1:3])
        assert len(file.regions) == total
        assert sum(count > 0 for count in file.regions.values()) == total - missed
        assert file.region_tally.covered > 0
        assert set(file.lines) <= set(range(1, len(file.source.lines) + 1))


def test_what_an_input_reaches(coverage_parser):
    found = collect(coverage_parser, {"deserialize": [JUNK, EMPTY, OVERLAP]})
    assert found.warnings == []
    assert found.targets["deserialize"].replay.executed == 3
    assert 100 < found.targets["deserialize"].regions < found.targets["deserialize"].entered
    tensor_rs = next(file for file in found.rust if file.path.endswith("tensor.rs"))
    entered = {f.name: f.count for f in tensor_rs.functions}
    assert entered["SafeTensors::read_metadata"] == 3
    assert entered["<Metadata as TryFrom<HashMetadata>>::try_from"] == 2
    assert entered["SafeTensors::tensors"] == 1
    assert entered["serialize_to_file"] == 0
    line = next(n for n, text in enumerate(tensor_rs.source.lines, 1) if b"HeaderTooSmall);" in text)
    assert tensor_rs.lines[line] == 1
    assert not any(file.path.endswith("slice.rs") and file.region_tally.covered for file in found.rust)
    python = {file.path: file for file in found.python}
    assert python["safetensors/__init__.py"].line_tally.percent == 100
    # Files that nobody imported are in the report, with nothing reached.
    assert python["safetensors/torch.py"].line_tally.covered == 0
    assert python["safetensors/torch.py"].branch_tally.total > 50


def test_targets_add_up(coverage_parser):
    one = collect(coverage_parser, {"deserialize": [ONE]}).totals()["rust"]["regions"]
    both = collect(coverage_parser, {"deserialize": [ONE], "safe_open": [ONE]}).totals()["rust"]["regions"]
    assert both.covered > one.covered
    assert (both.reachable, both.total) == (one.reachable, one.total)
    assert one.reachable < one.total


def test_outputs_agree_with_each_other(coverage_parser, tmp_path):
    found = collect(coverage_parser, {"deserialize": [JUNK, ONE]})
    page = outputs.write(found, tmp_path / "report").read_text()
    data = outputs.as_json(found)
    assert data["targets"]["deserialize"].items() >= {"executed": 2, "killed": 0}.items()
    by_path = {entry["path"]: entry for entry in data["files"]}
    tensor_rs = by_path["safetensors/src/tensor.rs"]
    regions = tensor_rs["regions"]
    assert regions["reachable"] - regions["covered"] == len(tensor_rs["missing_regions"])
    assert not tensor_rs["functions_excluded"]
    binding = by_path["bindings/python/src/lib.rs"]
    assert binding["functions_excluded"]
    # Each region is of one framework, or may be reached by numpy and torch.
    assert set(binding["frameworks"]) == {"paddle", "flax", "tensorflow", "mlx"}
    parts = [binding["numpy_and_torch"], *binding["frameworks"].values()]
    assert [sum(part[name] for part in parts) for name in ("covered", "total")] == [
        binding["regions"]["covered"],
        binding["regions"]["total"],
    ]
    assert not tensor_rs["frameworks"]
    assert f"{regions['covered']}<span" in page
    # The page is one file: nothing is fetched, nothing runs.
    assert not re.search(r"<script|<link|<img|src=|https?:", page.split("</style>")[0])
    # A wide table scrolls by itself: on a phone the page does not.
    assert len(re.findall(r'<div class="scroll"[^>]*><table class="grid">', page)) == page.count('class="grid"') > 1
    assert (tmp_path / "report" / "coverage.json").is_file()
    records = outputs.as_lcov(found).split("end_of_record\n")
    lcov = next(r for r in records if "SF:safetensors/src/tensor.rs" in r)
    lines = re.findall(r"^DA:(\d+),(\d+)$", lcov, re.MULTILINE)
    assert len(lines) == tensor_rs["lines"]["reachable"]
    assert sum(count != "0" for _, count in lines) == tensor_rs["lines"]["covered"]
    assert f"LF:{len(lines)}\n" in lcov
    python = next(r for r in records if "SF:safetensors/numpy.py" in r)
    assert re.search(r"^BRDA:\d+,0,-?\d+,-$", python, re.MULTILINE)


def test_other_builds_measure_nothing(wheel_parser):
    with pytest.raises(HarnessError, match="is no coverage build"):
        collect(wheel_parser, {"deserialize": [ONE]})


def test_targets_without_a_parser_have_no_coverage(coverage_parser):
    with pytest.raises(HarnessError, match="does not run the parser"):
        collect(coverage_parser, {"model": [ONE]})


def test_no_inputs_at_all(coverage_parser):
    with pytest.raises(HarnessError, match="no input was replayed"):
        collect(coverage_parser, {})
