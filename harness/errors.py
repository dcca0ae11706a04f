"""Errors that reach a person: one line of what is wrong, one of what to do."""

from __future__ import annotations


class HarnessError(Exception):
    """A usage or set-up error (exit status 2).

    ``hint`` says what to do about it; the command line prints it below the message.
    """

    exit_status = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class EngineError(HarnessError):
    """The fuzzing engine itself failed (exit status 3)."""

    exit_status = 3


class StartError(EngineError):
    """A child process with a parser did not start. The last line of the message is the child's own."""
