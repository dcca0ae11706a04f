"""The steps of the workflows of the night, of coverage and of the rest: each is played here, or stands in a short list with the reason."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from harness import corpus_store
from harness.parsers import build, registry
from harness.parsers.registry import Parser
from tests.ci import test_fuzz
from tests.ci.playing import WORKFLOWS, Played, Stage, load, shell_steps
from tests.s3_server import S3Server
from tests.triage import test_verify

#: Steps that no test plays, each with the reason.
UNPLAYED = {
    "Set up": "it makes the environment that this test runs in",
    "Test": "it is what runs this test",
    "Play them": "it is what runs this test",
    "Fuzz as on a fresh machine": "it makes an environment of its own; what it runs in there, the steps played here run too",
    "Replay under AddressSanitizer": "it compiles for minutes; `harness corpus replay` has tests of its own",
    "Check checkpoints": "it downloads 800 MB of libraries; tests/bench/checkpoints has their layouts",
    "Judge mutants": "it takes an hour; tests/bench/mutants judges a few",
    "Sum up the mutants": "it reads what the parts have uploaded",
    "Make attempts at the range": "it takes an hour; tests/bench/range makes one",
    "Fuzz by every peer": "it takes an hour; tests/bench/peers makes some trials",
    "Sum up the parts": "it reads what the parts have uploaded",
    "Get the compiler's LLVM tools": "it changes the compiler's installation; where there are such tools, `Measure` is played",
}
#: Those that take minutes, played where HARNESS_LONG=1 is set, as by the nightly workflow.
LONG = {"Fuzz every target past its seeds", "Measure what calls cost"}
PLAYED = {
    *test_fuzz.ALL,
    *("Plan", "Build the parser", "Fuzz", "Gather", "Fail on what is new", "Prune the store", "Replay", "Measure"),
    *("Show the trend", "Make the page"),
}

#: A target that does not open, and the folder of the package that brings it.
NOT_OPENED, PLUGIN = "unopened", Path(__file__).parents[1] / "engine/plugin"
WHY = f"target {NOT_OPENED} cannot be used: OSError: libcudart.so.13: cannot open shared object file"

# No finding of the newest release is needed twice: one that was found here, on a parser with a defect, is new.
# The target of another package fails at its start.
SHARDS = {"1": (f"deserialize {NOT_OPENED}", ""), "2": ("numpy", test_fuzz.PLANTED)}


#: What the expressions of the step `Fuzz` stand for where no store is configured.
NO_STORE = {
    **dict.fromkeys(("vars.HARNESS_STORE", "vars.AWS_ENDPOINT_URL", "vars.AWS_REGION"), ""),
    **dict.fromkeys(("secrets.AWS_ACCESS_KEY_ID", "secrets.AWS_SECRET_ACCESS_KEY"), ""),
}


def test_every_step_is_played_or_stands_in_a_list_with_the_reason() -> None:
    names = {name for path in WORKFLOWS.glob("*.yml") for _, name in shell_steps(path.name)}
    assert "" not in names, "a step without a name"
    assert names == PLAYED | LONG | UNPLAYED.keys()


def test_every_job_has_a_limit_and_its_own_permissions() -> None:
    for path in WORKFLOWS.glob("*.yml"):
        workflow = load(path.name)
        assert workflow["permissions"] == {}, path.name
        assert "concurrency" in workflow, path.name
        for name, job in workflow["jobs"].items():
            assert "permissions" in job, f"{path.name}: {name}"
            # A job that is another workflow has that one's limits.
            assert ("timeout-minutes" in job) != ("uses" in job), f"{path.name}: {name}"


def test_a_night(stage: Stage, sancov_parser: Parser) -> None:
    """Two shards, of which the second meets a defect that is new, and then what the last job makes of them.

    One target of the first does not open; the other runs all the same. The one fix on record mends nothing: the first shard
    meets its finding on the mended parser.
    """
    nightly = "nightly.yml"
    records = stage.home / "crashes/defects"
    shutil.rmtree(records, ignore_errors=True)
    records.mkdir()
    text = test_verify.RECORD.format(f'"{test_verify.TWICE}"')
    (records / "useless.toml").write_text(text + test_verify.USELESS)
    played = stage.play(nightly, "plan", {}, {"SHARDS": "2"}, ["Set up"])
    assert played.failed == "", played.said
    planned = json.loads(played.outputs["plan"]["shards"])
    assert [one["shard"] for one in planned] == ["1", "2"]
    parsers = stage.home / "build/parsers"
    # Seeds of an earlier night.
    corpus_store.add(stage.home / "build/nightly/corpus" / NOT_OPENED, b"\x02\0\0\0\0\0\0\0{}")
    package = {"PYTHONPATH": str(PLUGIN)}
    for number, (target, planted) in SHARDS.items():
        if planted:
            # A nightly run is of the release: the defect is put where the release is.
            (parsers / "0.8.0").unlink()
            shutil.copytree(sancov_parser.root, parsers / "0.8.0")
            with (parsers / "0.8.0/site/safetensors/numpy.py").open("a") as file:
                file.write(planted)
        values = {"matrix.shard": number, "matrix.targets": target}
        played = stage.play(
            nightly,
            "fuzz",
            NO_STORE | values,
            package | {"TIME": "2s", "MENDED_TIME": "2s"},
            ["Set up", *(["Build the parser"] if planted else [])],
        )
        failed = "Fuzz" if NOT_OPENED in target else ""
        assert (played.failed, played.ran[-1]) == (failed, "Fuzz"), played.said
        assert ("--- Fuzz: 3\n" in played.said, WHY in played.said) == (bool(failed), bool(failed))
    # As the artifacts of both come down, into one folder.
    build_folder = stage.home / "build"
    (build_folder / "shard").rename(build_folder / "shards")
    # A third one ended before it fuzzed.
    (build_folder / "shards/shard-3/corpus/slices").mkdir(parents=True)
    played = stage.play(nightly, "gather", NO_STORE, package, ["Set up", "Build the parser"])
    assert played.failed == "Fail on what is new", played.said
    assert played.ran == ["Gather", "Fail on what is new", "Prune the store"]
    assert played.said.endswith("--- Prune the store: 0\nnightly: no store is configured\n")
    kept = build_folder / "nightly"
    assert {path.name for path in (kept / "corpus").iterdir()} == {"deserialize", "numpy", "slices", NOT_OPENED}
    assert len(list((kept / "ledger").glob("*.json"))) == 4
    assert (
        f"{test_verify.TWICE} shows although the fix of useless was applied" in (kept / "report/mended.txt").read_text()
    )
    assert json.loads((kept / "report/findings.sarif").read_text())["version"] == "2.1.0"
    assert any("LookupError" in text.read_text() for text in (kept / "report/issues").iterdir())
    assert "LookupError" in played.summary
    not_run(kept / "report", played)
    # The next night starts from what this one kept.
    assert any((kept / "corpus/deserialize").iterdir())


_BEFORE_PRUNING = ("Set up", "Build the parser", "Gather", "Fail on what is new")


def test_shards_share_a_store(stage: Stage, s3: S3Server, coverage_parser: Parser) -> None:
    """The second shard gets what the first one stored. Where the store is away, a shard fuzzes alone and the step fails."""
    pytest.importorskip("distributed", reason="the extra cluster brings it")
    kept = stage.home / "build/nightly/corpus/deserialize"
    rare = corpus_store.add(kept, b"\x02\0\0\0\0\0\0\0{}" + b"kept by an earlier night")
    values = NO_STORE | {
        "vars.HARNESS_STORE": "s3://fuzz/nights",
        "matrix.targets": "deserialize",
        **{f"vars.{name}": s3.environment[name] for name in ("AWS_ENDPOINT_URL", "AWS_REGION")},
        **{f"secrets.{name}": value for name, value in s3.environment.items() if "KEY" in name},
    }
    for number in ("1", "2", "3"):
        if number == "3":
            stage.have(coverage_parser)
            pruned = stage.play("nightly.yml", "gather", values, {}, _BEFORE_PRUNING)
            assert (pruned.ran, pruned.failed) == (["Prune the store"], ""), pruned.said
            assert re.search(
                r"deserialize: \d+ inputs before, \d+ after; regions (\d+) to \1$", pruned.said, re.MULTILINE
            ), pruned.said
            s3.kill()
        played = stage.play(
            "nightly.yml", "fuzz", values | {"matrix.shard": number}, {"TIME": "5s"}, ["Set up", "Build the parser"]
        )
        # On a busy machine the first two may run nothing in this time.
        alone = number == "3"
        assert ("gives no answer" in played.said, "fuzzing alone" in played.said) == (alone, alone), played.said
        assert "--- Fuzz: 2\n" in played.said or not alone
        assert s3.secret not in played.said
        shard = stage.home / f"build/shard/shard-{number}"
        assert (shard / "corpus/deserialize" / rare.name).exists() != alone
        rare.unlink(missing_ok=True)
        # Each has its own ledger.
        (session,) = json.loads((shard / "campaign.json").read_text())["sessions"]
        assert session["ended"] == "time"
        assert (shard / "hosts").exists() != alone


def not_run(report: Path, played: Played) -> None:
    """Page, SARIF, JUnit and the end of the job name the targets that did not run: one was broken, one was lost with its shard."""
    assert " targets did not run" in played.summary.splitlines()[0]
    assert f"| {NOT_OPENED} | left out | <code>target {NOT_OPENED} cannot be used" in played.summary
    log = json.loads((report / "findings.sarif").read_text())["runs"][0]["invocations"][0]
    told = {one["message"]["text"] for one in log["toolExecutionNotifications"]}
    assert not log["executionSuccessful"]
    lost = "target slices: no execution: no campaign asked for it"
    assert {f"campaign shard-1: target {NOT_OPENED}: left out: {WHY}", f"no campaign: {lost}"} <= told
    assert f"campaign shard-1-mended: target {NOT_OPENED}: left out: {WHY}" in told
    cases = {
        (suite.get("name"), case.get("name")): [part.tag for part in case]
        for suite in ET.parse(report / "junit.xml").iter("testsuite")
        for case in suite.iter("testcase")
    }
    assert cases["shard-1", NOT_OPENED] == cases["no campaign", "slices"] == ["error", "system-out"]
    assert cases["shard-1", "deserialize"] == ["system-out"]
    assert f"nightly: target {NOT_OPENED} in shard-1: left out: {WHY}" in played.said
    assert "nightly: target slices in no campaign: no execution" in played.said
    assert f"nightly: the corpus of {NOT_OPENED} was not minimised" in played.said
    page = (report / "index.html").read_text()
    assert f"<bdi>{NOT_OPENED}</bdi>" in page.split('id="not-run"')[1].split("</section>")[0]


def test_open_findings_are_replayed(stage: Stage) -> None:
    # The night above plays the step that builds.
    skip = ["Set up", "Build the parser"]
    arguments = {"ARGS": "-n 0 -p no:cacheprovider -k tensor.fields-7c350600"}
    played = stage.play("nightly.yml", "recheck", {}, arguments, skip)
    assert (played.ran, played.failed) == (["Replay"], ""), played.said
    assert " xfailed" in played.said


def test_the_page_of_all_results_is_shown(stage: Stage) -> None:
    place = stage.home / "build/bench"
    place.mkdir(parents=True)
    row = {"seconds": 180, "rows": [{"bug": str(number)} for number in range(24)], "found": 3}
    (place / "planted.json").write_text(json.dumps(row))
    played = stage.play("weekly.yml", "results", {}, {}, ["Sum up the parts"])
    # A missed goal stands on the page; the job goes on.
    assert (played.ran, played.failed) == (["Make the page"], ""), played.said
    assert "| 3 of 24 |" in played.summary
    assert "**missed**" in played.summary


def test_coverage_and_its_trend(stage: Stage) -> None:
    if registry.read(registry.default_name(registry.default_release(), "coverage")) is None:
        build.build(flavour="coverage", progress=lambda line: None)
    parser = registry.find(None, flavour="coverage")
    (stage.home / "build/parsers" / parser.name).symlink_to(parser.root)
    skip = ["Set up", "Get the compiler's LLVM tools"]
    first = {"TARGETS": "deserialize", "GITHUB_SHA": "1" * 40}
    played = stage.play("coverage.yml", "coverage", {}, first, skip)
    assert (played.ran, played.failed) == (["Measure", "Show the trend"], ""), played.said
    assert "| trend | ▁ |" in played.summary
    if not test_fuzz.FULL:
        return
    # What the corpus lost fails, and is in the trend all the same.
    for seed in list((stage.home / "corpus/deserialize").iterdir())[3:]:
        seed.unlink()
    played = stage.play("coverage.yml", "coverage", {}, first | {"GITHUB_SHA": "2" * 40}, skip)
    assert (played.ran, played.failed) == (["Measure", "Show the trend"], "Measure"), played.said
    assert "lost: target deserialize reaches" in played.said
    assert "| trend | █▁ |" in played.summary
    assert played.summary.index("`222222222222`") < played.summary.rindex("`111111111111`")


@pytest.mark.skipif(not test_fuzz.FULL, reason="two minutes: HARNESS_LONG=1, as the nightly workflow sets it")
def test_every_target_gets_past_its_seeds(stage: Stage) -> None:
    played = stage.play(
        "pull-request.yml",
        "run",
        {},
        {"TIME": os.environ.get("HARNESS_LONG_TIME", "120s"), "CALLS": "deserialize numpy.save_file"},
        ["Test", "Fuzz as on a fresh machine"],
    )
    assert (played.ran, played.failed) == (sorted(LONG), ""), played.said


@pytest.mark.parametrize("page", ["README.md", "docs/ci.md"])
def test_the_ten_lines_of_the_documentation_are_a_workflow_that_calls_ours(page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text()
    block = text.split("```yaml\n")[1].split("```")[0]
    assert len(block.splitlines()) == 10
    (job,) = yaml.safe_load(block)["jobs"].values()
    inputs = load("fuzz.yml")[True]["workflow_call"]["inputs"]
    assert set(job["with"]) <= set(inputs)
    assert job["permissions"] == {"contents": "read"}
    assert job["uses"].split("@")[0].endswith("/.github/workflows/fuzz.yml")
