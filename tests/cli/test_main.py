"""Every way out of the command line has its status."""

from __future__ import annotations

import errno

import click
import pytest

from harness.cli import main as cli
from harness.errors import EngineError, HarnessError


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (HarnessError("no such thing", hint="name another"), 2, "harness: no such thing\n  name another\n"),
        (EngineError("it broke"), 3, "harness: it broke\n"),
        (click.UsageError("which one?"), 2, "which one?"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("division by zero"), 3, "a defect of the harness itself"),
        (OSError(errno.ENOSPC, "No space left on device", "there"), 2, "cannot write there: No space left on device"),
        (OSError(errno.EBADF, "Bad file descriptor"), 3, "a defect of the harness itself"),
    ],
)
def test_errors_end_with_the_status_they_stand_for(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    words: str,
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli.group, "main", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == status
    assert words in capsys.readouterr().err
