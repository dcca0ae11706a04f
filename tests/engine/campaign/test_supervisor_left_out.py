"""Targets that cannot be driven: named, with the reason, and the campaign goes on with the others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.parsers.registry import Parser
from tests.engine.conftest import Fuzz

REASONS = {
    "unopened": "target unopened cannot be used: OSError: libcudart.so.13: cannot open shared object file",
    "hanging": "target hanging did not open within 3 s",
    "nonsense": "target nonsense gives no observation but 'fine'",
    "stillborn": "target stillborn: workers die before they run anything: exit status 9",
}

SCRIPT = """
import json, pathlib, sys
from harness.engine.campaign.main import Campaign, CampaignSettings
settings = CampaignSettings(
    folder=pathlib.Path(sys.argv[1]), targets=(*sys.argv[2:],), parser="0.8.0", runs=500, workers=2, empty=True
)
outcome = Campaign(settings, lambda progress: None).run()
print(json.dumps({name: str(error) for name, error in outcome.left_out.items()}))
"""


def test_the_campaign_goes_on_without_them(fuzz: Fuzz) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(fuzz.campaign), *REASONS, "deserialize"],
        env=fuzz.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    left_out = json.loads(done.stdout)
    assert left_out.keys() == REASONS.keys()
    assert {name: words for name, words in left_out.items() if not words.startswith(REASONS[name])} == {}
    session = fuzz.session()
    assert session["left_out"] == left_out
    assert session["per_target"]["deserialize"]["executions"] == 500


def test_one_that_was_named_ends_the_campaign_with_3_after_the_others_ran(fuzz: Fuzz) -> None:
    done = fuzz("--target", "nonsense", "--target", "deserialize", "--runs", "500", "--empty-corpus")
    assert done.returncode == 3, done.stderr
    assert REASONS["nonsense"] in done.stderr
    assert "500 executions" in done.stdout
    assert fuzz.session()["per_target"]["deserialize"]["executions"] == 500


@pytest.mark.parametrize("target", REASONS)
def test_where_nothing_ran_its_error_is_the_campaign_s(fuzz: Fuzz, target: str) -> None:
    done = fuzz("--target", target, "--runs", "100", "--empty-corpus", "--json")
    assert done.returncode == 3, done.stderr
    assert REASONS[target] in done.stderr
    not_run = json.loads(done.stdout)["not_run"]
    assert not_run.keys() == {target}
    assert not_run[target]["state"] == "left out"
    assert not_run[target]["reason"].startswith(REASONS[target])


@pytest.mark.parametrize("target", ["unreached", "late"])
def test_one_that_does_not_reach_the_parser_is_blamed_and_not_the_build(fuzz: Fuzz, target: str) -> None:
    done = fuzz("--target", target, "--runs", "100", "--empty-corpus")
    assert done.returncode == 3, done.stderr
    assert f"target {target} does not reach the parser" in done.stderr
    assert "Mend deadly: its run must hand each input to the parser" in done.stderr
    assert "doctor" not in done.stderr


@pytest.mark.parametrize("seeds", [True, False])
def test_one_that_takes_programs_and_never_reaches_the_parser_is_named(fuzz: Fuzz, seeds: bool) -> None:
    done = fuzz("--target", "afar", "--runs", "3000", *([] if seeds else ["--empty-corpus"]))
    assert done.returncode == 3, done.stderr
    said = re.search("target afar does not reach the parser: its first ([0-9]+) inputs run no code", done.stderr)
    assert said is not None, done.stderr
    assert (int(said[1]) < 100) == seeds
    assert "mend deadly: its run must call the module" in done.stderr
    assert "doctor" not in done.stderr


def test_a_parser_that_counts_nothing_is_blamed_and_not_the_target(
    project: Path, fuzz: Fuzz, wheel_parser: Parser
) -> None:
    uncounted = project / "build" / "parsers" / "uncounted"
    shutil.copytree(wheel_parser.root, uncounted, ignore=shutil.ignore_patterns("src"))
    manifest = json.loads((uncounted / "manifest.json").read_text())
    (uncounted / "manifest.json").write_text(json.dumps(manifest | {"flavour": "sancov"}))
    environment = fuzz.environment() | {"HARNESS_HOME": str(project)}
    command = fuzz.command("--target", "unreached", "--runs", "100", "--empty-corpus", "--parser", "uncounted")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 3, done.stderr
    assert "has no coverage counters" in done.stderr
    assert "harness build" in done.stderr
    assert "target unreached does not reach" not in done.stderr


def test_one_that_does_not_even_import_is_named(fuzz: Fuzz) -> None:
    done = fuzz("--target", "absent", "--runs", "100")
    assert done.returncode == 2
    assert "target absent does not load: deadly:absent cannot be imported" in done.stderr


def test_a_parser_that_cannot_be_loaded_is_named_and_what_was_stored_stays(
    project: Path, fuzz: Fuzz, sancov_parser: Parser
) -> None:
    assert fuzz("--target", "deserialize", "--runs", "500", "--empty-corpus").returncode in (0, 1)
    before = sorted(path.name for path in fuzz.campaign.glob("corpus/*/*"))
    torn = project / "build" / "parsers" / "torn"
    shutil.copytree(sancov_parser.root, torn, ignore=shutil.ignore_patterns("src"))
    with (torn / "site" / sancov_parser.manifest["module"]).open("r+b") as module:
        module.truncate(4096)
    environment = fuzz.environment() | {"HARNESS_HOME": str(project)}
    command = fuzz.command("--target", "deserialize", "--runs", "500", "--empty-corpus", "--parser", "torn")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (2, 3), done.stderr
    assert "torn" in done.stderr or "workers die before they run anything" in done.stderr
    assert before
    assert sorted(path.name for path in fuzz.campaign.glob("corpus/*/*")) == before
    assert [session["executions"] > 0 for session in fuzz.ledger()["sessions"]] == [True, False]
