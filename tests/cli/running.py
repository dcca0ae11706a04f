"""A command run in this process, as its tests want it."""

from __future__ import annotations

from click.testing import CliRunner

from harness.cli.main import group


def run(*arguments: object) -> tuple[int, str]:
    """Exit status and output of ``harness ARGUMENTS``; an error is raised as it is."""
    result = CliRunner().invoke(group, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0), result.output
