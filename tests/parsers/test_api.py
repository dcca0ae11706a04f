"""What a parser lacks is seen, told, and not driven."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy
import pytest

from harness.errors import HarnessError
from harness.format.encode import pack
from harness.parsers import api, build
from harness.parsers.api import Api
from harness.parsers.registry import Parser
from harness.replay.replay import Replayer
from harness.targets.registry import get_target

OLD = "0.5.3"
#: Messages of a call with a name, an argument or an index that the parser does not know.
OUR_OWN = (
    "unexpected keyword argument",
    "safe_open' object has no attribute",
    "failed to extract",
    "unknown variant",
    "is invalid",
)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Parser:
    """A release that lacks much, as users have it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_HOME", str(tmp_path_factory.mktemp("old")))
        return build.build(OLD, flavour="wheel", progress=lambda line: None)


@pytest.fixture
def there(old: Parser, monkeypatch: pytest.MonkeyPatch) -> Parser:
    """The same, in its own project."""
    monkeypatch.setenv("HARNESS_HOME", str(old.root.parents[3]))
    return old


def test_the_newest_release_lacks_nothing(wheel: Parser) -> None:
    assert api.of_parser(wheel) == Api()
    assert api.told(wheel.name, ()) == ""


def test_an_old_release(there: Parser) -> None:
    found = api.of_parser(there)
    missing = {
        "safe_open(backend=)",
        "torch.load_file(backend=)",
        "_safe_open_handle",
        "safe_open.get_tensors",
        "TensorSpec",
    }
    assert missing < set(found.lacks)
    assert found.dtypes == {"F4", "F6_E2M3", "F6_E3M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"}
    assert found.has("device cuda")
    assert not found.has("device musa")
    # Steps are ignored, which is wrong data: they stay driven.
    assert found.takes((slice(None, None, 2), -1, numpy.int64(1)))
    refused = (..., None, "a", (0, None), 2**31, (numpy.array([0]),))
    assert not any(map(found.takes, refused))
    assert api._kept(there) == list(found.lacks)
    assert len(list(there.root.glob("api-*.json"))) == 1


def test_what_is_lacking_is_told(there: Parser) -> None:
    line = api.told(OLD, api.of_parser(there).lacks)
    assert line.startswith("0.5.3 lacks: safe_open(backend=); _safe_open_handle; ")
    assert line.count("load_file(backend=)") == 1
    assert "dtype F4, F6_E2M3" in line
    assert line.endswith("these devices, slices by these forms.")


@pytest.mark.parametrize(
    "name", ["slices", "parallel", "quantized", "lifecycle", "writers", "shards", "device", "huge"]
)
def test_programs_leave_out_what_an_old_release_lacks(there: Parser, name: str) -> None:
    target = get_target(name)
    ran = 0
    with Replayer(there, name) as replayer:
        for data in target.seeds().values():
            made = replayer.run(data)
            ran += made.outcome == "accept"
            # No release has a framework without a name.
            said = [made.error.replace("framework  is invalid", ""), *(found.summary for found in made.findings)]
            assert not [text for text in said for words in OUR_OWN if words in text], target.explain(data)
    assert ran


@pytest.mark.parametrize("name", ["safe_open", "backends", "numpy"])
def test_a_file_of_a_lacking_dtype_is_no_finding(there: Parser, name: str) -> None:
    with Replayer(there, name) as replayer:
        refused = replayer.run(pack([("t", "C64", (1,), bytes(8))]))
        assert (refused.outcome, refused.findings) == ("reject", ())
        read = replayer.run(pack([("t", "F32", (2,), bytes(8))]))
        assert (read.outcome, read.findings) == ("accept", ())


def test_a_stand_in_lacks_nothing(safetensors: ModuleType) -> None:
    stand_in: Any = SimpleNamespace()
    assert api.of(stand_in) == Api()
    assert api.of(safetensors) == api.loaded() == Api()


def test_a_build_that_does_not_load(there: Parser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    with pytest.raises(HarnessError, match=rf"the API of parser {there.name} cannot be probed: .*no parser"):
        api._asked(there)
