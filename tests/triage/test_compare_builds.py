"""A finding is new against another build only when it shows here, and not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness import corpus_store
from harness.cli.findings import command
from harness.errors import HarnessError
from harness.findings import crashes, store
from harness.findings.finding import Finding
from harness.oracles import contract
from harness.parsers import registry
from harness.parsers.registry import Parser
from harness.replay.replay import Replayer
from harness.triage import compare_builds

CORPUS = Path(__file__).parents[2] / "corpus"


@pytest.fixture
def planted(project: Path, sancov_parser: Parser) -> Parser:
    """The newest release, with a defect in its Python layer: load refuses every file, with a wrong exception."""
    root = project / "build/parsers/planted"
    shutil.copytree(sancov_parser.root, root)
    with (root / "site/safetensors/numpy.py").open("a") as file:
        file.write("\n\ndef load(data):\n    raise LookupError('planted')\n")
    return registry.find("planted")


@pytest.fixture
def campaign(project: Path, planted: Parser) -> Path:
    """What the oracle says of one seed on the planted build, a finding that is not to be had again, and one of the judge."""
    folder = project / "campaign"
    data = corpus_store.list_seeds(CORPUS / "numpy").seeds[0][1]
    with Replayer(planted, "numpy", relations=False) as child:
        shown = [judged.finding for judged in child.run(data).findings if "LookupError" in judged.signature]
    assert shown
    store.add(folder, shown[0], data, parser="planted", seed=1)
    gone = Finding(contract.RAISED, "load: KeyError: never", "it never shows")
    store.add(folder, gone.on("numpy"), data, parser="planted", seed=1)
    store.add(folder, gone.on("model"), data, parser="", seed=1)
    return folder


def findings(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False)


def test_only_what_shows_here_and_not_there_is_new(campaign: Path, planted: Parser) -> None:
    result = findings("--campaign", campaign, "--against", "0.8.0", "--json")
    assert result.return_value == 1
    states = {row["signature"]: row["against"]["shows"] for row in json.loads(result.stdout)}
    assert states.pop("numpy|contract|raise|load: KeyError: never") == compare_builds.NOT_AGAIN
    assert states.pop("model|contract|raise|load: KeyError: never") == compare_builds.THERE_TOO
    assert list(states.values()) == [compare_builds.ONLY_HERE]
    # Against itself nothing is new.
    real = [one for one in store.findings(campaign) if one.signature in states]
    assert [state for _, state in compare_builds.compare(real, planted)] == [compare_builds.THERE_TOO]


def test_what_shows_on_both_does_not_fail_and_what_is_known_is_not_compared(campaign: Path, project: Path) -> None:
    filed = crashes.load(next((CORPUS.parent / "crashes").glob("header.padding-*")))
    shutil.copytree(filed.folder, project / "crashes" / filed.id)
    store.add(campaign, filed.finding, filed.data(), parser="planted", seed=1)
    for stored in store.findings(campaign):
        if "never" in stored.signature and stored.target == "numpy":
            shutil.rmtree(stored.folder)
    result = findings("--campaign", campaign, "--against", "planted")
    assert result.return_value == 0
    assert result.stdout.count("shows on planted too: not new against it") == 2
    assert result.stdout.count("  known ") == 1
    assert findings("--campaign", campaign).return_value == 1


def test_wrong_uses_say_what_to_do(campaign: Path) -> None:
    with pytest.raises(HarnessError, match="no parser missing"):
        findings("--campaign", campaign, "--against", "missing")
    with pytest.raises(HarnessError, match="exclude each other"):
        findings("--campaign", campaign, "--against", "0.8.0", "--strict")
