"""Modules of frameworks that are not installed are told from the text of the module, and stay outside the totals."""

from __future__ import annotations

import json
import re
import struct

import pytest

from harness.coverage import outputs
from harness.coverage.collect import Coverage, collect
from harness.coverage.python_files import not_driven
from harness.parsers.registry import Parser
from harness.targets.base import absent


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import os\nimport numpy as np\nfrom safetensors import safe_open\n", ""),
        ("from ._safetensors_rust import deserialize\n", ""),
        ("import nowhere\n", "nowhere is not installed"),
        ("import nowhere.numpy as jnp\nfrom nowhere import Array\n", "nowhere is not installed"),
        ("import nowhere\nfrom elsewhere_.core import x\n", "nowhere and elsewhere_ are not installed"),
        ("try:\n    import nowhere\nexcept ImportError:\n    pass\n", ""),
        ("def save():\n    import nowhere\n", ""),
    ],
)
def test_a_module_is_driven_where_all_that_it_must_import_is_installed(text: str, reason: str):
    assert not_driven(text) == reason


FRAMEWORKS = {"flax": "jax", "mlx": "mlx", "paddle": "paddle", "tensorflow": "tensorflow", "torch": "torch"}


@pytest.fixture(scope="module")
def found(coverage_parser: Parser) -> Coverage:
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return collect(coverage_parser, {"numpy": [struct.pack("<Q", len(header)) + header + b"1234"]})


def test_modules_of_frameworks_that_are_not_installed_are_outside_the_totals(found: Coverage):
    missing = {f"safetensors/{name}.py" for name, module in FRAMEWORKS.items() if absent(module)}
    assert {file.path for file in found.python if file.not_driven} == missing
    driven = [file.line_tally for file in found.python if not file.not_driven]
    lines = found.totals()["python"]["lines"]
    assert lines.reachable == sum(tally.reachable for tally in driven)
    assert lines.total == sum(len(file.lines) for file in found.python)
    assert lines.covered > 0


def test_every_output_says_so(found: Coverage, monkeypatch: pytest.MonkeyPatch):
    file = next(file for file in found.python if file.path.endswith("/mlx.py"))
    monkeypatch.setattr(file, "not_driven", "mlx is not installed")
    told = json.loads(json.dumps(outputs.as_json(found)))
    assert told["not_driven"]["safetensors/mlx.py"] == "mlx is not installed"
    (entry,) = (one for one in told["files"] if one["path"] == file.path)
    assert entry["not_driven"] == "mlx is not installed"
    assert entry["lines"] == {"covered": 0, "reachable": 0, "total": len(file.lines), "percent": 100.0}
    assert entry["missing_lines"] == entry["missing_branches"] == []
    (driven,) = (one for one in told["files"] if one["path"] == "safetensors/numpy.py")
    assert driven["not_driven"] == ""
    assert driven["missing_lines"]
    assert "SF:safetensors/mlx.py" not in outputs.as_lcov(found)
    page = outputs.as_html(found)
    assert f"not driven here: mlx is not installed ({len(file.lines)} lines)" in page
    # A link into the line view leads to the reason.
    assert re.search(r'id="safetensors/mlx.py">.*\n<p class="dim">Not driven here: mlx is not installed', page)
    assert 'id="safetensors/mlx.py:1"' not in page
