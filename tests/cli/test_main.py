"""Every way out of the command line has its status."""

from __future__ import annotations

import errno
from collections.abc import Iterator

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


def verbs(verb: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command and what it is called; of a group that does nothing by itself, only what is in it."""
    context = click.Context(verb)
    if not isinstance(verb, click.Group) or (words and verb.invoke_without_command):
        yield " ".join(words), verb
    if isinstance(verb, click.Group):
        for name in verb.list_commands(context):
            inner = verb.get_command(context, name)
            assert inner is not None
            yield from verbs(inner, (*words, name))


VERBS = dict(verbs(cli.group))
#: All there are: what a person can read of them, a machine can.
FOR_MACHINES = {
    "bench findings", "bench operators", "bench resources", "bench speed", "build", "check", "corpus generate",
    "corpus import", "corpus merge", "corpus minimize", "corpus stats", "coverage", "doctor", "explain", "findings", "fuzz",
    "minimize", "report", "repro", "triage", "triage rules", "triage verdict",
}  # fmt: skip


def test_every_command_is_for_machines_too() -> None:
    assert VERBS.keys() >= FOR_MACHINES
    assert [name for name, verb in VERBS.items() if "--json" not in {o for p in verb.params for o in p.opts}] == []


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_an_example_in_its_help(name: str) -> None:
    shown = VERBS[name].get_help(click.Context(VERBS[name], info_name=name))
    assert f"harness {name}" in " ".join(shown.partition("Example:")[2].split())


def test_control_characters_in_an_error_are_escaped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(**_: object) -> None:
        raise HarnessError("a\x1b[31m\nb", hint="c\r")

    monkeypatch.setattr(cli.group, "main", fail)
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == "harness: a\\x1b[31m\nb\n  c\\x0d\n"
