from __future__ import annotations

from pathlib import Path

import pytest

from harness.engine.worker.checks import check_log

LOG = b"""\
INFO: found LLVMFuzzerCustomMutator (0x7f). Disabling -len_control by default.
INFO: Loaded 2 modules   (12375 inline 8-bit counters): 8279 [0x1, 0x2), 4096 [0x3, 0x4),\x20
#40\tINITED cov: 503 ft: 1197 corp: 39/9398b exec/s: 0 rss: 52Mb
"""


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        (LOG.replace(b"found LLVMFuzzerCustomMutator", b""), "mutator"),
        (LOG.replace(b", 4096 [0x3, 0x4)", b""), "semantic"),
        (LOG.replace(b"8279 [0x1, 0x2), ", b""), "parser"),
        (LOG.replace(b"INITED cov: 503", b"INITED cov: 0"), "edge"),
    ],
)
def test_the_start_up_check_names_the_part_that_is_not_live(tmp_path: Path, broken: bytes, missing: str) -> None:
    log = tmp_path / "log"
    log.write_bytes(LOG)
    assert check_log(log, native=True, semantic=4096, seeds=40) == ""
    log.write_bytes(broken)
    assert missing in check_log(log, native=True, semantic=4096, seeds=40)


def test_a_run_without_seeds_may_start_without_an_edge(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(LOG.replace(b"#40\tINITED cov: 503 ft: 1197 corp: 39/9398b exec/s: 0", b"#2\tINITED exec/s: 0"))
    assert check_log(log, native=True, semantic=4096, seeds=0) == ""
    assert "edge" in check_log(log, native=True, semantic=4096, seeds=2)
