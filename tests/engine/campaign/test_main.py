"""Whole campaigns on the real parser, each a few thousand executions long."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import corpus_store
from harness.findings import store
from harness.ledger import records
from harness.targets.lifecycle.program import VOCABULARY
from tests.engine.conftest import Fuzz
from tests.waiting import LONG, children, ended, wait_until


def corpus(fuzz: Fuzz, target: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (fuzz.campaign / "corpus" / target).iterdir()}


def test_a_campaign_executes_loads_seeds_gains_edges_and_keeps_what_it_found(fuzz: Fuzz) -> None:
    done = fuzz("--target", "deserialize", "--runs", "20000")
    assert done.returncode in (0, 1), done.stderr
    session = fuzz.session()
    target = session["per_target"]["deserialize"]
    assert target["executions"] == session["executions"] == 20000
    assert target["seeds"] > 10
    assert target["edges"] > target["edges_at_start"] > 0
    assert target["semantic_features"] > 50
    assert target["defects"] == 0
    assert target["deep"] > target["accepted"] > 0
    # How it discovered: from what the seeds know, on and on, to what it knows now.
    curve = target["curve"]
    assert curve[0]["executions"] < curve[-1]["executions"] <= 20000
    assert target["edges_at_start"] < curve[0]["edges"] <= curve[-1]["edges"] == target["edges"]
    assert curve[0]["semantic"] < curve[-1]["semantic"] == target["semantic_features"]
    assert target["species"]["edges"]["seen"] > target["species"]["edges"]["singletons"] > 0
    # Most of what is sampled is new mutants: every so many executions one.
    assert target["species"]["edges"]["sampled"] == 20000 // target["species"]["edges"]["every"]
    assert target["species"]["signatures"]["seen"] == len(session["findings"])
    # And the session has its record in the ledger.
    (record,) = records.entries(fuzz.campaign.with_name("ledger"))
    assert record.executions == 20000
    assert record.targets["deserialize"].curve[-1].edges == target["edges"]
    kept = corpus(fuzz, "deserialize")
    # What is new goes into the campaign's folder; the committed seeds stay where they are.
    assert kept
    assert target["corpus"] > len(kept) / 2
    stored = {finding.id for finding in store.findings(fuzz.campaign)}
    assert stored == set(session["findings"])
    # A campaign on 0.8.0 that finds nothing is a broken campaign.
    assert stored
    assert done.returncode == (1 if session["new"] else 0)


def test_a_run_of_n_executions_repeats_to_the_last_byte(tmp_path: Path, fuzz: Fuzz) -> None:
    other = Fuzz(tmp_path / "again")
    for campaign in (fuzz, other):
        done = campaign("--target", "deserialize", "--runs", "15000", "--seed", "11")
        assert done.returncode in (0, 1), done.stderr
    assert corpus(fuzz, "deserialize") == corpus(other, "deserialize")
    assert {f.id: f.data() for f in store.findings(fuzz.campaign)} == {
        f.id: f.data() for f in store.findings(other.campaign)
    }


@pytest.mark.parametrize("target", ["safe_open", "model", "huge", "lifecycle"])
def test_every_target_runs_with_everything_live(fuzz: Fuzz, target: str) -> None:
    done = fuzz("--target", target, "--runs", {"huge": "30", "lifecycle": "500"}.get(target, "2000"))
    assert done.returncode in (0, 1), done.stderr
    figures = fuzz.session()["per_target"][target]
    assert figures["executions"] >= 30
    assert figures["seeds"] > 0
    assert figures["edges"] > 0
    assert figures["defects"] == 0


def test_a_run_that_ends_among_its_seeds_has_the_figures_of_what_it_ran(tmp_path: Path, fuzz: Fuzz) -> None:
    """In less than two seconds: libFuzzer says nothing before all seeds have run."""
    rows = []
    for campaign in (fuzz, Fuzz(tmp_path / "again")):
        done = campaign("--target", "deserialize", "--runs", "5")
        assert done.returncode in (0, 1), done.stderr
        assert campaign.session()["not_fuzzed"] == ["deserialize"]
        rows.append(campaign.session()["per_target"]["deserialize"])
    assert rows[0]["executions"] == 5 < rows[0]["seeds"]
    assert rows[0]["edges"] > 0
    assert rows[0]["corpus"] > 0
    for name in ("edges", "features", "corpus", "semantic_features"):
        assert rows[0][name] == rows[1][name]


def test_programs_are_found_from_nothing(fuzz: Fuzz) -> None:
    done = fuzz("--target", "lifecycle", "--runs", "60", "--empty-corpus")
    assert done.returncode in (0, 1), done.stderr
    figures = fuzz.session()["per_target"]["lifecycle"]
    assert figures["executions"] == 60
    # Those of the first call of a program: an empty one reaches none.
    assert figures["edges"] > 100


def test_a_run_that_loaded_no_seeds_says_so_and_fails(fuzz: Fuzz) -> None:
    done = fuzz("--target", "deadly", "--runs", "100")
    assert done.returncode == 2
    assert "no seeds for target deadly" in done.stderr
    assert "--empty-corpus" in done.stderr


def test_a_worker_that_dies_leaves_a_finding_and_a_guard_and_the_campaign_goes_on(fuzz: Fuzz) -> None:
    done = fuzz("--target", "deadly", "--runs", "20000", "--empty-corpus", "--workers", "1")
    assert done.returncode == 1, done.stderr
    deaths = [finding for finding in store.findings(fuzz.campaign) if finding.kind == "crash"]
    assert deaths
    assert all(b"F8_E8M0" in finding.data() for finding in deaths)
    assert "F8_E8M0" in {word for finding in deaths for word in finding.guard}
    figures = fuzz.session()["per_target"]["deadly"]
    assert figures["guarded"] > 0
    assert figures["executions"] > 1000


def test_a_campaign_on_lifecycle_outlives_what_it_is_killed_by(fuzz: Fuzz) -> None:
    step, encode = VOCABULARY.step, VOCABULARY.encode
    folder = fuzz.campaign / "corpus" / "lifecycle"
    corpus_store.add(folder, encode([step("open"), step("cut"), step("get_tensor")]))
    done = fuzz("--target", "lifecycle", "--runs", "500", "--workers", "1")
    assert done.returncode in (0, 1), done.stderr
    figures = fuzz.session()["per_target"]["lifecycle"]
    assert figures["executions"] == 500
    assert figures["isolated"] > 0
    assert figures["defects"] == 0
    deaths = {found.signature for found in store.findings(fuzz.campaign) if found.kind == "crash"}
    assert "lifecycle|crash|crash|SIGBUS/get_tensor" in deaths
    # One worker did it all: nobody had to be started in its place.
    assert len(list((fuzz.campaign / "log").glob("*.log"))) == 1


def test_a_defect_of_ours_is_counted_and_kept_and_not_blamed_on_the_parser(fuzz: Fuzz) -> None:
    done = fuzz("--target", "broken", "--runs", "3000", "--empty-corpus")
    assert done.returncode in (0, 1), done.stderr
    figures = fuzz.session()["per_target"]["broken"]
    assert figures["executions"] == 3000
    assert figures["defects"] > 0
    assert "the harness itself failed" in done.stderr
    assert {finding.kind for finding in store.findings(fuzz.campaign)} <= {"differential", "contract", "roundtrip"}
    (trace,) = (fuzz.campaign / "log").glob("*-defect.txt")
    assert "the oracle is broken" in trace.read_text()
    assert b"F8_E8M0" in next((fuzz.campaign / "log").glob("*-defect-input")).read_bytes()


def test_ctrl_c_ends_cleanly_and_loses_nothing(fuzz: Fuzz) -> None:
    # A shell without job control starts a job in the background so.
    background = ["env", "--ignore-signal=INT"]
    process = subprocess.Popen(
        [*background, *fuzz.command("--target", "deserialize", "--time", "10m")],
        env=fuzz.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_executions(fuzz)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=LONG)
    assert process.returncode in (0, 1), errors
    session = fuzz.session()
    assert session["interrupted"] is True
    assert session["executions"] > 0
    assert f"{session['executions']} executions" in output
    assert corpus(fuzz, "deserialize")


def test_a_second_ctrl_c_ends_at_once_and_keeps_the_corpus(fuzz: Fuzz, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("wb") as out:
        process = subprocess.Popen(
            fuzz.command("--target", "deserialize", "--time", "10m"), env=fuzz.environment(), stdout=out, stderr=out
        )
    wait_for_executions(fuzz)
    # The worker cannot finish, so the campaign waits until the second signal comes.
    for worker in children(process.pid):
        os.kill(worker, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    wait_until(
        lambda: b"another Ctrl-C ends at once" in said.read_bytes(), what="the campaign has met the first signal"
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(LONG) == 130
    assert corpus(fuzz, "deserialize")
    assert fuzz.session()["ended"] == "error"


#: Runs the rest of its command line with the terminal at its standard input as the one that it hangs up with.
IN_TERMINAL = """
import fcntl, os, signal, sys, termios
# The tests may run under nohup.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_closed_terminal_ends_cleanly(fuzz: Fuzz) -> None:
    outside, inside = pty.openpty()
    command = [word for word in fuzz.command("--target", "deserialize", "--time", "10m") if word != "--no-ui"]
    process = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, *command],
        env={**fuzz.environment(), "TERM": "xterm"},
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    try:
        # Something reads the terminal until it is closed.
        while not has_executions(fuzz):
            os.read(outside, 1 << 16)
        workers = children(process.pid)
    finally:
        os.close(outside)
    assert process.wait(LONG) in (0, 1)
    assert workers
    assert all(map(ended, workers))
    session = fuzz.session()
    assert (session["interrupted"], session["ended"]) == (True, "interrupted")
    assert len(records.entries(fuzz.campaign.with_name("ledger"))) == 1


def test_kill_9_keeps_corpus_ledger_and_findings(fuzz: Fuzz) -> None:
    process = subprocess.Popen(
        fuzz.command("--target", "deserialize", "--time", "10m"),
        env=fuzz.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_executions(fuzz)
    workers = children(process.pid)
    assert workers
    os.kill(process.pid, signal.SIGKILL)
    process.wait(LONG)
    wait_until(lambda: all(map(ended, workers)), what="workers end with their supervisor")
    before = corpus(fuzz, "deserialize")
    assert before
    assert fuzz.session()["executions"] > 0
    done = fuzz("--target", "deserialize", "--runs", "2000")
    assert done.returncode in (0, 1), done.stderr
    assert before.keys() <= corpus(fuzz, "deserialize").keys()
    assert len(json.loads((fuzz.campaign / "campaign.json").read_text())["sessions"]) == 2


def has_executions(fuzz: Fuzz) -> bool:
    try:
        return fuzz.session()["executions"] > 0 and bool(corpus(fuzz, "deserialize"))
    except (OSError, ValueError, KeyError, IndexError):
        return False


def wait_for_executions(fuzz: Fuzz) -> None:
    wait_until(lambda: has_executions(fuzz), what="the campaign runs and keeps an input")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--time", "0"), "is no time to fuzz for"),
        (("--time", "soon"), "is no time to fuzz for"),
        (("--target", "none"), "targets: deserialize"),
        (("--parser", "9.9.9"), "harness build --release 9.9.9"),
        (("--without", "no.such"), "docs/mutators.md"),
    ],
)
def test_bad_usage_ends_with_2_and_says_what_to_do(fuzz: Fuzz, arguments: tuple[str, ...], words: str) -> None:
    done = fuzz(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (fuzz.campaign / "campaign.json").exists()


def test_a_damaged_ledger_is_an_error_and_fresh_keeps_it_aside(fuzz: Fuzz) -> None:
    fuzz.campaign.mkdir()
    (fuzz.campaign / "campaign.json").write_text('{"sessions": [')
    done = fuzz("--target", "deserialize", "--runs", "100")
    assert done.returncode == 2
    assert "is no ledger" in done.stderr
    assert fuzz("--target", "deserialize", "--runs", "100", "--fresh").returncode in (0, 1)
    assert (fuzz.campaign / "old-1" / "campaign.json").read_text() == '{"sessions": ['


def test_the_campaign_folder_may_not_be_a_file(fuzz: Fuzz) -> None:
    fuzz.campaign.write_text("in the way")
    done = fuzz("--target", "deserialize", "--runs", "100")
    assert done.returncode == 2
    assert "as a campaign folder" in done.stderr
    assert fuzz.campaign.read_text() == "in the way"


def test_json_is_the_ledgers_entry(fuzz: Fuzz) -> None:
    done = fuzz("--target", "deserialize", "--runs", "500", "--json")
    printed = json.loads(done.stdout)
    assert printed == {**fuzz.session(), "campaign": str(fuzz.campaign), "not_run": {}}


def test_foreign_files_in_a_campaigns_corpus_are_named_and_left_alone(fuzz: Fuzz) -> None:
    folder = fuzz.campaign / "corpus" / "deserialize"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (folder / ("0" * 40)).mkdir()
    done = fuzz("--target", "deserialize", "--runs", "500")
    assert done.returncode in (0, 1), done.stderr
    assert f"{folder}: skipped 2 foreign files: " in done.stderr
    assert "notes.txt (name is no SHA-1)" in done.stderr
    assert (folder / "notes.txt").read_text() == "mine"
