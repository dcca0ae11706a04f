"""The ``harness`` command: finds subcommands by file name, maps errors to exit statuses."""

from __future__ import annotations

import errno
import importlib
import pkgutil
import signal
import sys
import traceback
from typing import NoReturn

import click

import harness.cli as package
from harness.errors import HarnessError
from harness.processes import leave_terminal
from harness.report.text import plain

# Errors of the machine: a full disk or quota, a disk or folder without write permission.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})


class _Commands(click.Group):
    """One subcommand per module of this package, imported only when used. The module defines ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "main" and m.name[0] != "_")

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"harness.cli.{name}").command
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="safetensors-harness", prog_name="harness")
def group() -> None:
    """Fuzz the safetensors parser and keep its findings as regression tests.

    \b
    Start with:  harness doctor
                 harness fuzz --time 60s
    """


def _our_defect() -> NoReturn:
    """Print the current exception and exit with 3: Python's own status, 1, means a new finding here."""
    traceback.print_exc()
    click.echo("harness: this is a defect of the harness itself; please report it with the lines above", err=True)
    sys.exit(3)


def _printable(text: str) -> str:
    """``text`` without control characters: a name of a file may hold some. Lines stay, for messages of several lines."""
    return "\n".join(plain(line, 8 * len(line) + 8) for line in text.split("\n"))


def _terminated(number: int, frame: object) -> NoReturn:
    """End as after Ctrl-C: with what is left to tidy up, and the shell's status for the signal."""
    if number == signal.SIGHUP:
        leave_terminal()
    sys.exit(128 + number)


def main() -> NoReturn:
    """Run the command line; never returns. Exit statuses are those of the README."""
    signal.signal(signal.SIGTERM, _terminated)
    # nohup ignores the other one.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _terminated)
    try:
        result = group.main(standalone_mode=False)
    except HarnessError as error:
        click.echo(f"harness: {_printable(str(error))}", err=True)
        if error.hint:
            click.echo(f"  {_printable(error.hint)}", err=True)
        sys.exit(error.exit_status)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("harness: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            _our_defect()
        click.echo(
            f"harness: cannot write {_printable(str(error.filename or 'its files'))}: {error.strerror}", err=True
        )
        click.echo("  free some disk, or set HARNESS_HOME to a writable folder; old content is kept", err=True)
        sys.exit(2)
    except Exception:
        _our_defect()
    # With standalone_mode off, click hands back ctx.exit()'s status or the command's return value.
    sys.exit(result if isinstance(result, int) else 0)
