"""``harness corpus``: on folders of its own, with the real parser."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from harness import corpus_store
from harness.cli.corpus import command
from harness.corpus_store import Provenance
from harness.coverage import intake
from harness.coverage.features import features_of
from harness.coverage.intake import generated
from harness.errors import HarnessError
from harness.parsers.registry import Parser
from tests.framing import framed

EMPTY = framed("{}")
ONE = framed('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"1234")
LONGER_ONE = framed('{"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' + " " * 160, b"1234")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(command, [str(a) for a in arguments])
    if isinstance(result.exception, HarnessError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def names(corpus: Path, target: str) -> set[str]:
    return {name for name, _ in corpus_store.list_seeds(corpus / target).seeds}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for data in (EMPTY, ONE, LONGER_ONE):
        corpus_store.add(tmp_path / "corpus" / "deserialize", data)
    return tmp_path / "corpus"


def test_stats(corpus):
    corpus_store.write_provenance(corpus / "deserialize", {corpus_store.sha1(ONE): Provenance("generator", "g", 1)})
    (corpus / "deserialize" / "foreign").write_text("x")
    (found,) = json.loads(run("stats", "--corpus", corpus, "--json").output)
    assert found == {
        "target": "deserialize",
        "seeds": 3,
        "size": len(EMPTY + ONE + LONGER_ONE),
        "median": len(ONE),
        "largest": len(LONGER_ONE),
        "sources": {"unknown": 2, "generator": 1},
        "rules": {"accepted": 3},
        "skipped": ["foreign (name is no SHA-1)"],
        "pinned": {},
    }
    text = run("stats", "--corpus", corpus).output
    assert "deserialize  3 seeds" in text
    assert "foreign (name is no SHA-1)" in text


def test_stats_say_how_near_the_caps_are(corpus):
    size = len(EMPTY + ONE + LONGER_ONE)
    text = run("stats", "--corpus", corpus, "--max-bytes", "1k", "--max-files", "2").output
    assert f"{100 * size / 1000:.0f} % of 1000 bytes" in text
    assert "150 % of 2 files: harness corpus minimize with the same cap makes it fit" in text
    for wrong in ("0", "12x", "M", "-3"):
        with pytest.raises(click.BadParameter, match="is no size"):
            CliRunner().invoke(command, ["stats", "--max-bytes", wrong], standalone_mode=False, catch_exceptions=False)


def test_what_a_cap_cost_is_said(corpus):
    corpus_store.add(corpus / "deserialize", framed('{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}', b"1234"))
    text = run("minimize", "--corpus", corpus, "--max-files", "1").output
    assert re.search(r"deserialize: the cap cost \d+ of \d+ features, \d+ of them code", text)
    assert re.search(r"deserialize: \d+ regions are lost", text)
    assert len(names(corpus, "deserialize")) == 1


def test_stats_of_nothing(tmp_path):
    assert "no seeds in" in run("stats", "--corpus", tmp_path / "none").output


def test_minimize_drops_what_adds_nothing(corpus):
    duplicate = corpus_store.add(
        corpus / "deserialize", framed('{"c":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"abcd")
    )
    foreign = corpus / "deserialize" / "notes.txt"
    foreign.write_text("keep me")
    corpus_store.write_provenance(
        corpus / "deserialize",
        {name: Provenance("import", "x") for name in names(corpus, "deserialize")},
    )
    (change,) = json.loads(run("minimize", "--corpus", corpus, "--json", "--no-regions").output)
    assert change["before"] == 4
    assert change["after"] == len(names(corpus, "deserialize")) < 4
    # Two that differ by a name are one too many; the empty header has a feature of its own.
    assert len({duplicate.name, corpus_store.sha1(ONE)} & names(corpus, "deserialize")) <= 1
    assert corpus_store.sha1(EMPTY) in names(corpus, "deserialize")
    assert foreign.read_text() == "keep me"
    assert set(corpus_store.read_provenance(corpus / "deserialize")) == names(corpus, "deserialize")


def test_minimize_loses_no_feature(corpus, sancov_parser):
    for data, _ in generated("deserialize", 60, 1).values():
        corpus_store.add(corpus / "deserialize", data)

    def semantic() -> set[str]:
        seeds = [data for _, data in corpus_store.list_seeds(corpus / "deserialize").seeds]
        found, _ = features_of(sancov_parser, "deserialize", seeds)
        # Edges inside the parser's hash maps differ from process to process.
        return {f for i in range(len(seeds)) for f in found.features(i) or () if not f.startswith("edge ")}

    before = semantic()
    (change,) = json.loads(run("minimize", "--corpus", corpus, "--json").output)
    assert change["regions_before"] == change["regions_after"] > 50
    assert semantic() == before
    assert len(names(corpus, "deserialize")) < 60


def test_minimize_nothing(tmp_path):
    with pytest.raises(HarnessError, match="no seeds"):
        run("minimize", "--corpus", tmp_path)
    with pytest.raises(HarnessError, match="no seeds for target deserialize"):
        run("minimize", "--corpus", tmp_path, "--target", "deserialize")


def test_merge_takes_what_is_new_from_a_campaign(corpus, tmp_path):
    campaign = tmp_path / "night"
    (campaign / "corpus").mkdir(parents=True)
    (campaign / "campaign.json").write_text(json.dumps({"sessions": [{"seed": 3}, {"seed": 9}]}))
    bad = framed('{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}', b"1234")
    new = corpus_store.add(campaign / "corpus" / "deserialize", bad).name
    same = corpus_store.add(
        campaign / "corpus" / "deserialize", framed('{"z":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"1234")
    ).name
    (campaign / "corpus" / "deserialize" / "lock").write_text("")
    result = run("merge", campaign, "--corpus", corpus, "--no-regions")
    assert "skipped 1 foreign files for deserialize" in result.stderr
    assert new in names(corpus, "deserialize")
    assert same not in names(corpus, "deserialize")
    assert {corpus_store.sha1(d) for d in (EMPTY, ONE, LONGER_ONE)} < names(corpus, "deserialize")
    assert corpus_store.read_provenance(corpus / "deserialize")[new] == Provenance("campaign", "night", 9)
    before = names(corpus, "deserialize")
    (change,) = json.loads(run("merge", campaign, "--corpus", corpus, "--json", "--no-regions").stdout)
    assert change["before"] == change["after"]
    assert names(corpus, "deserialize") == before


def test_merge_of_another_corpus_keeps_provenance(corpus, tmp_path):
    other = tmp_path / "other"
    name = corpus_store.add(other / "model", ONE).name
    corpus_store.write_provenance(other / "model", {name: Provenance("generator", "mutate.generate", 5)})
    run("merge", other, "--corpus", corpus)
    assert corpus_store.read_provenance(corpus / "model") == {name: Provenance("generator", "mutate.generate", 5)}


@pytest.mark.parametrize("content", ["", "not json", "{}", '{"sessions": []}', '{"sessions": [{"seed": null}]}'])
def test_merge_survives_a_damaged_ledger(corpus, tmp_path, content):
    campaign = tmp_path / "night"
    name = corpus_store.add(campaign / "corpus" / "model", ONE).name
    (campaign / "campaign.json").write_text(content)
    run("merge", campaign, "--corpus", corpus, "--no-regions")
    assert corpus_store.read_provenance(corpus / "model")[name] == Provenance("campaign", "night")


def test_merge_from_no_corpus(corpus, tmp_path):
    with pytest.raises(HarnessError, match="holds no corpus"):
        run("merge", tmp_path / "nowhere", "--corpus", corpus)


def test_import(tmp_path):
    models = tmp_path / "models" / "deep"
    models.mkdir(parents=True)
    (models / "good.safetensors").write_bytes(ONE)
    (models / "bad.safetensors").write_bytes(b"junk")
    (models / "notes.txt").write_text("no model")
    with (models / "huge.safetensors").open("wb") as file:
        file.truncate(5_000_000_000)
    os.mkfifo(models / "fifo.safetensors")
    corpus = tmp_path / "corpus"
    result = run("import", tmp_path / "models", "--corpus", corpus)
    assert "fifo.safetensors: no regular file" in result.stderr
    assert "huge.safetensors: 5000000000 bytes, a seed has at most 65536" in result.stderr
    assert result.stdout.splitlines() == [f"{name}: 2 new" for name in intake.file_targets()]
    assert names(corpus, "model") == {corpus_store.sha1(ONE), corpus_store.sha1(b"junk")}
    provenance = corpus_store.read_provenance(corpus / "safe_open")
    assert provenance[corpus_store.sha1(ONE)] == Provenance("import", "good.safetensors")
    # Importing again changes nothing.
    again = ("import", models / "good.safetensors", "--corpus", corpus, "--target", "model")
    assert "model: 0 new" in run(*again).stdout
    assert json.loads(run(*again, "--json").stdout) == {"new": {"model": 0}, "skipped": []}


def test_import_what_is_not_there(tmp_path):
    with pytest.raises(HarnessError, match="does not exist"):
        run("import", tmp_path / "missing", "--corpus", tmp_path / "corpus")
    with pytest.raises(HarnessError, match=r"no \*.safetensors file"):
        run("import", tmp_path, "--corpus", tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_import_of_nothing_but_large_files(tmp_path):
    large = tmp_path / "large.safetensors"
    large.write_bytes(bytes(corpus_store.MAX_SEED + 1))
    with pytest.raises(HarnessError, match="nothing was imported"):
        run("import", large, "--corpus", tmp_path / "corpus")


def test_generate_is_repeatable_and_valid(tmp_path):
    run("generate", "--corpus", tmp_path / "one", "--target", "model", "--count", "40")
    run("generate", "--corpus", tmp_path / "two", "--target", "model", "--count", "40")
    assert names(tmp_path / "one", "model") == names(tmp_path / "two", "model") != set()
    (found,) = json.loads(run("stats", "--corpus", tmp_path / "one", "--json").output)
    assert found["rules"] == {"accepted": found["seeds"]}
    assert found["sources"] == {"generator": found["seeds"]}


def test_a_project_without_a_corpus_starts_from_the_package_s(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(ONE + b"unique to this test")
    run("import", mine, "--target", "model")
    assert corpus_store.sha1(mine.read_bytes()) in names(tmp_path / "corpus", "model")
    assert len(names(tmp_path / "corpus", "deserialize")) > 20


def test_unknown_target(corpus):
    with pytest.raises(HarnessError, match="no target is called 'nonsense'"):
        run("minimize", "--corpus", corpus, "--target", "nonsense")


def test_a_corpus_is_replayed_on_any_build_and_what_is_new_is_stored(
    tmp_path: Path, project: Path, wheel_parser: Parser
) -> None:
    corpus, findings = tmp_path / "corpus", tmp_path / "sanitized"
    corpus_store.add(corpus / "deserialize", EMPTY)
    corpus_store.add(corpus / "model", EMPTY)
    clean = run("replay", "--parser", wheel_parser.name, "--corpus", corpus, "--findings", findings)
    assert clean.exit_code == 0
    assert f"deserialize: 1 seeds on {wheel_parser.name}, 0 findings" in clean.output
    assert f"model: does not run on {wheel_parser.name}" in clean.output
    assert not findings.exists()
    # Nothing that was asked for is passed over in silence.
    with pytest.raises(HarnessError, match="target model does not run on"):
        run("replay", "--parser", wheel_parser.name, "--corpus", corpus, "--target", "model")
    with pytest.raises(HarnessError, match=r"no seed of .* ran on"):
        run("replay", "--parser", wheel_parser.name, "--corpus", tmp_path / "nothing")
    # Nothing is filed in this project, so a duplicate key is new.
    corpus_store.add(corpus / "deserialize", framed('{"__metadata__":{"a":"","a":"b"}}'))
    found = run("replay", "--parser", wheel_parser.name, "--corpus", corpus, "--findings", findings)
    assert found.exit_code == 1
    assert "deserialize: new: deserialize|differential|header.duplicate-key|" in found.output
    assert [path.name[:20] for path in (findings / "findings").glob("*-*")] == ["header.duplicate-key"]
