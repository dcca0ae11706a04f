from __future__ import annotations

from pathlib import Path

from harness.engine.worker.libfuzzer_log import Figures, LibFuzzerLog


def test_figures_are_those_of_the_last_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    follower = LibFuzzerLog(log)
    assert follower.read() == Figures(0, 0, 0)
    log.write_text("INFO: seed\n#2\tINITED cov: 22 ft: 25 corp: 1/2b exec/s: 0 rss: 80Mb\n")
    assert follower.read() == Figures(22, 25, 1)
    with log.open("a") as handle:
        handle.write("#90\tNEW    cov: 30 ft: 41 corp: 7/19b lim: 4 exec/s: 0\nwords of the parser\n")
    assert follower.read() == Figures(30, 41, 7)


def test_what_the_seeds_reached_is_found_however_late_one_looks(tmp_path: Path) -> None:
    log = tmp_path / "log"
    new = "#90\tNEW    cov: 30 ft: 41 corp: 7/19b lim: 4 exec/s: 0\n"
    log.write_text("#2\tINITED cov: 22 ft: 25 corp: 1/2b exec/s: 0 rss: 80Mb\n" + new * 2000)
    follower = LibFuzzerLog(log)
    assert follower.read() == Figures(30, 41, 7)
    assert follower.seeded == Figures(22, 25, 1)
