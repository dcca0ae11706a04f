"""Promises to users: filed findings, exit statuses, JSON shapes and repeatable runs stay as tests/promises.json records them.

An intended change is recorded with ``HARNESS_RECORD=1 python -m pytest tests/test_promises.py``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import main
from harness.format.encode import pack

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).with_name("promises.json")
RECORD = "HARNESS_RECORD=1 python -m pytest tests/test_promises.py"
SECTIONS = {"findings": 1, "statuses": 1, "shapes": 2}
"""Sections of the golden file, with the depth below which a value stands on one line."""

FIELDS = ("target", "oracle", "kind", "rule", "aspect", "signature", "status", "severity")

#: Filed in the repository and left out of the test's project: the campaign finds it as new.
NEW = "header.duplicate-key-828a18b8"
KNOWN = "header.first-byte-ffd56688"
PROGRAM = "raise-197f2187"

RUN = "--runs 300 --workers 1 --no-ui"
#: Command lines in the order in which they run in one project. ``--json`` ones also have their shape compared.
COMMANDS = f"""
--version
--help
nothing
check good
check twice
check missing
check
check good --parser nothing
check good twice --json
explain twice
explain missing
explain good --json
explain {PROGRAM} --json
repro {KNOWN}
repro good
repro missing
repro good --target nothing
repro good --parser nothing
repro half --target safe_open --json
minimize good
minimize twice --output small --json
findings
triage
ledger --json
fuzz --target nothing
fuzz --target deserialize --time never
fuzz --target deserialize --parser nothing
fuzz --target deserialize --parser uncounted {RUN} --campaign broken
fuzz --target deserialize {RUN} --json
findings --campaign crashes
findings --json
findings --strict
triage rules --json
triage defects --json
triage defect nothing nothing
report
report --upstream nothing
report --upstream numpy-strides-ignored --json
report --campaign main
report --campaign main --sarif report.sarif --issues issues --json
triage --json
findings
findings --strict
fuzz --target deserialize {RUN}
fuzz --target deserialize {RUN} --strict
triage verdict nothing fixed --why mended
triage verdict {NEW} by-design --json
triage verdict {NEW} by-design --why intended --json
ledger --price 1 --json
targets --json
targets --changed safetensors/src/slice.rs --json
corpus stats --json
corpus import good --json
corpus import missing
doctor --json
"""

#: Objects whose keys are data: names of targets, parsers, rules, operators or files.
MAPS = {"changed", "findings", "left_out", "metadata", "new", "not_installed", "not_run", "operators", "parsers", "per_target", "rules", "seeds", "sources", "stages", "targets"}  # fmt: skip
TYPES = {str: "text", bool: "boolean", int: "number", float: "number", type(None): "null", dict: "object", list: "list"}

Shape = dict[str, dict[str, str]]


def golden() -> dict[str, Any]:
    """The recorded promises by section; empty ones where nothing is recorded."""
    found: dict[str, Any] = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
    return {name: found.get(name, {}) for name in SECTIONS}


def text_of(value: Any, depth: int, margin: str = "") -> str:
    """``value`` as sorted JSON, with one entry a line down to ``depth``."""
    if depth < 0 or not isinstance(value, dict) or not value:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    lines = (f"{margin} {json.dumps(key)}: {text_of(value[key], depth - 1, margin + ' ')}" for key in sorted(value))
    return "{\n" + ",\n".join(lines) + f"\n{margin}}}"


def hold(section: str, now: dict[str, Any], differences: Callable[[dict[str, Any], dict[str, Any]], list[str]]) -> None:
    """Fail with what differs from the recorded section; record the section instead where that is asked for."""
    if os.environ.get("HARNESS_RECORD"):
        sections = golden() | {section: now}
        lines = (f' "{name}": {text_of(sections[name], depth - 1, " ")}' for name, depth in SECTIONS.items())
        GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    found = differences(golden()[section], now)
    assert not found, "\n".join([*found, f"if this is intended, record it: {RECORD}"])


def changed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Entries that were removed, added or changed, one a line."""
    return [
        f"{name}: recorded {old.get(name, 'nothing')}, now {new.get(name, 'nothing')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def changed_fields(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """As :func:`changed`, with the fields of an entry told apart."""
    both = [name for name in old if name in new]
    alone = changed({n: "an entry" for n in old if n not in new}, {n: "an entry" for n in new if n not in old})
    return alone + [f"{name}: {line}" for name in both for line in changed(old[name], new[name])]


def filed() -> dict[str, dict[str, Any]]:
    """The fields of each finding in crashes/ by id, with the status and severity that ``harness report`` gives."""
    status, text = run("report --json")
    assert status == 0
    reported = {row["id"]: row for row in json.loads(text)["findings"]}
    tables = {path.parent.name: tomllib.loads(path.read_text()) for path in ROOT.glob("crashes/*/finding.toml")}
    assert reported.keys() == tables.keys()
    found = {}
    for name, table in tables.items():
        loaded = reported[name] | {"status": reported[name]["state"], "rule": table["rule"], "aspect": table["aspect"]}
        found[name] = {field: loaded[field] for field in FIELDS}
        assert table["id"] == name
        assert {field: table.get(field, loaded[field]) for field in FIELDS} == found[name], name
    return found


def run(line: str) -> tuple[int, str]:
    """Exit status and standard output of ``harness LINE`` in the current folder."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.setattr(sys, "argv", ["harness", *shlex.split(line)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, output.getvalue()


def objects(value: Any, path: str, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each object in ``value``: its path, and the type of each key. A list stands for its first element."""
    if isinstance(value, list):
        for first in value[:1]:
            yield f"{path}[]", {"": TYPES[type(first)]}
            yield from objects(first, f"{path}[]", "")
    elif isinstance(value, dict):
        is_map = name in MAPS
        yield path, {"*" if is_map else key: TYPES[type(inner)] for key, inner in value.items()}
        for key, inner in value.items():
            yield from objects(inner, f"{path}.{'*' if is_map else key}", key)


def shape(value: Any) -> Shape:
    """The objects in a JSON value by path, each with the types of its keys; those of one map are taken together."""
    found: Shape = {}
    for path, keys in objects(value, "", ""):
        found.setdefault(path or ".", {}).update(keys)
    return found


def lost(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Keys of JSON outputs that were removed, or have another type. New commands and keys are no loss."""
    return [
        f"{line}: {path} {key!r}: recorded {kind}, now {seen or 'nothing'}"
        for line, paths in old.items()
        for path, keys in paths.items()
        for key, kind in keys.items()
        if not _kept(kind, seen := _seen(new, line, path, key))
    ]


def _seen(shapes: dict[str, Any], line: str, path: str, key: str) -> str:
    """The type of a key now; "" where there is none, "empty" where its map has no entry here."""
    keys: dict[str, str] | None = shapes.get(line, {}).get(path)
    return "empty" if keys == {} and key == "*" else (keys or {}).get(key, "")


def _kept(recorded: str, now: str) -> bool:
    """Whether a type is the recorded one. A null says nothing of the type it stands for."""
    return bool(now) and (recorded in (now, "null") or now == "empty")


@pytest.fixture
def furnished(project: Path) -> Path:
    """A project with this repository's findings and seeds, a few files, and a parser that counts no edges."""
    shutil.rmtree(project / "crashes")
    shutil.copytree(ROOT / "crashes", project / "crashes", ignore=shutil.ignore_patterns(NEW))
    for path in project.glob("crashes/defects/*.toml"):
        path.write_text(re.sub(f'"{NEW}",?\\s*', "", path.read_text()))
    for name in ("deserialize", "writers"):
        shutil.copytree(ROOT / "corpus" / name, project / "corpus" / name)
    shutil.copy(ROOT / "corpus" / "coverage.toml", project / "corpus")
    (project / "good").write_bytes(pack([("a", "BF16", (2,), b"xyxy"), ("b", "F4", (2,), b"x")], {"format": "pt"}))
    (project / "twice").write_bytes(b"\x1f\0\0\0\0\0\0\0" + b'{"__metadata__":{"":"","":""}} ')
    (project / "half").write_bytes(pack([("a", "BF16", (1,), b"xy")], None))
    uncounted = project / "build" / "parsers" / "uncounted"
    shutil.copytree(project / "build" / "parsers" / "0.8.0-wheel", uncounted)
    manifest = json.loads((uncounted / "manifest.json").read_text())
    (uncounted / "manifest.json").write_text(json.dumps(manifest | {"flavour": "sancov"}))
    return project


def test_filed_findings_are_those_that_were_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_HOME", str(ROOT))
    hold("findings", filed(), changed_fields)


def test_commands_have_their_statuses_and_json_its_shape(furnished: Path) -> None:
    statuses: dict[str, Any] = {}
    shapes: dict[str, Any] = {}
    for line in filter(None, COMMANDS.split("\n")):
        status, text = run(line)
        # A command line stands twice where what ran in between changes its answer.
        name = f"{line} (again)" if line in statuses else line
        statuses[name] = status
        if line.endswith("--json") and status in (0, 1):
            shapes[name] = shape(json.loads(text))
    shapes["report.sarif"] = shape(json.loads((furnished / "report.sarif").read_text()))
    hold("statuses", statuses, changed)
    hold("shapes", shapes, lost)


@pytest.mark.long
def test_a_run_of_programs_repeats_to_the_last_byte(furnished: Path) -> None:
    """Files are run twice in tests/engine/campaign/test_main.py; by day, workers of every target in test_main_repeats.py."""
    found = []
    for campaign in ("one", "two"):
        arguments = f"--target writers --runs 1500 --seed 1 --workers 1 --no-ui --campaign {campaign}"
        subprocess.run(
            [sys.executable, "-m", "harness", "fuzz", *shlex.split(arguments)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
            timeout=600,
        )
        inputs = [*furnished.glob(f"{campaign}/corpus/writers/*"), *furnished.glob(f"{campaign}/findings/*/input")]
        found.append({str(path.relative_to(furnished / campaign)): path.read_bytes() for path in inputs})
    assert len(found[0]) > 100
    assert found[0] == found[1]
