"""Programs that a campaign keeps run on the release wheel too."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness import corpus_store
from harness.engine.campaign.wheel_pass import WheelPass
from harness.findings import crashes
from harness.parsers.registry import Parser
from harness.targets.registry import get_target

CRASH = next(
    crash for crash in crashes.crashes() if crash.target == "writers" and crash.rule.name == "roundtrip.written"
)


def passed(campaign: Path, settings: Any, names: set[str], over: threading.Event) -> WheelPass:
    wheel = WheelPass(campaign, lambda _: contextlib.nullcontext(), over, lambda: None)
    wheel.take(settings, names)
    wheel.finish(lambda: False, lambda _: None)
    wheel.close()
    return wheel


def settings(parser: str, target: str = "writers") -> Any:
    return SimpleNamespace(target=target, parser=parser, seed=1)


def test_a_finding_of_the_wheel_is_stored_once_with_the_name_of_the_wheel(
    tmp_path: Path, sancov_parser: Parser, wheel_parser: Parser
) -> None:
    names = {corpus_store.add(tmp_path / "corpus" / "writers", CRASH.data()).name, "0" * 40}
    given = settings(sancov_parser.name)
    wheel = passed(tmp_path, given, names, threading.Event())
    # An input that was replaced meanwhile is passed over.
    assert (wheel.given, wheel.ran, wheel.off, wheel.failures()) == (2, 1, "", [])
    (found,) = [one for one in wheel.found() if one["signature"] == CRASH.signature]
    assert f'"parser": "{wheel_parser.name}"' in (tmp_path / "findings" / found["id"] / "finding.json").read_text()
    again = passed(tmp_path, given, names, threading.Event())
    assert (again.ran, again.found()) == (1, [])


def test_seeds_run_once_one_for_each_call_and_their_leaks_are_found(
    tmp_path: Path, sancov_parser: Parser, wheel_parser: Parser
) -> None:
    target = get_target("writers")
    wheel = WheelPass(tmp_path, lambda _: contextlib.nullcontext(), threading.Event(), lambda: None)
    for _ in range(2):
        wheel.take_seeds(settings(sancov_parser.name))
    wheel.take_seeds(settings(sancov_parser.name, "deserialize"))
    wheel.finish(lambda: False, lambda _: None)
    wheel.close()
    assert 2 < wheel.given == wheel.ran < len(target.seeds())
    assert wheel.failures() == []


def test_nothing_runs_after_the_end_nor_files_nor_the_wheel_itself(
    tmp_path: Path, sancov_parser: Parser, wheel_parser: Parser
) -> None:
    names = {corpus_store.add(tmp_path / "corpus" / "writers", CRASH.data()).name}
    over = threading.Event()
    assert passed(tmp_path, settings(sancov_parser.name, "deserialize"), names, over).given == 0
    assert passed(tmp_path, settings(wheel_parser.name), names, over).given == 0
    over.set()
    assert passed(tmp_path, settings(sancov_parser.name), names, over).ran == 0
    assert not (tmp_path / "findings").exists()


def test_a_parser_without_a_wheel_is_named(tmp_path: Path, project: Path, wheel_parser: Parser) -> None:
    (project / "build" / "parsers" / wheel_parser.name).unlink()
    names = {corpus_store.add(tmp_path / "corpus" / "writers", CRASH.data()).name}
    wheel = passed(tmp_path, settings("0.8.0"), names, threading.Event())
    assert (wheel.given, wheel.ran) == (0, 0)
    assert wheel.off.startswith("kept programs do not run on the release wheel: no parser 0.8.0-wheel has been built")
