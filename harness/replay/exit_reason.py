"""How a process ended that did not survive its input: from its exit status and what it printed, in words and as a finding."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from harness.findings.finding import Finding
from harness.processes import signal_name
from harness.replay.judge import death
from harness.targets.base import UNCAUGHT, Target

_PLACE = re.compile(rb"panicked at ([^\n]{1,300}?):(\d+):\d+:?$", re.MULTILINE)
_REFUSED_ALLOCATION = b"memory allocation of "
_OVERFLOWED = b"has overflowed its stack"
# The message of the C++ run-time about an uncaught exception, and Rust's own words before it aborts. A framework's report
# on the signal tells nothing: the framework prints it after every abort.
_UNCAUGHT = re.compile(rb"^terminate called (?:after throwing|without an active|recursively)", re.MULTILINE)
_RUST_ABORTS = re.compile(rb"fatal runtime error: |panic\. aborting\.|aborting due to panic")
# A check of the standard library, in builds with debug assertions: a copy between places that overlap.
_OVERLAPS = re.compile(rb"^unsafe precondition\(s\) violated: .* do not overlap$", re.MULTILINE)
_REPORT = re.compile(rb"(?:==\d+==)?\s*ERROR: AddressSanitizer: ([\w-]+)[^\n]*\n")
# The sanitizer's words for signals, so that a defect has one name in every build; and for memory that was not given.
_SIGNALS = {"SEGV": "SIGSEGV", "BUS": "SIGBUS", "ABRT": "SIGABRT", "FPE": "SIGFPE", "ILL": "SIGILL"}
_MEMORY = ("allocation-size-too-big", "out-of-memory", "rss-limit-exceeded", "calloc-overflow")
# Addresses and the number of the process.
_NUMBERS = re.compile(r"==\d+==|\b(?:pc|bp|sp) 0x[0-9a-f]+ ?|0x[0-9a-f]{6,} (?=in )")
# Sources of packages and of the standard library, wherever they lie on this machine.
_SOURCE = re.compile(r"/\S*?/(?:registry/src/[^/\s]+|rustc/[0-9a-f]{20,})/(\S+)|/rustc/[0-9a-f]{20,}/(\S+)")
_ABSOLUTE = re.compile(r"(?<=[\s(])/(?:[^/\s]+/)*([^/\s]+/[^/\s]+)")
_DEPTH = re.compile(r"\s*#(\d+) ")
#: Frames of a stack that are kept: the interpreter's own lie below them.
_DEEPEST = 16
# A frame of the parser's own source, of which the build keeps paths from the root of its tree.
_FRAME = re.compile(r"^\s*#\d+ in .* \(?((?:safetensors|bindings/python)/src/[\w/]+\.rs:\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ExitReason:
    """``outcome`` is crash, hang or memory, ``words`` a description. ``place`` is ``file:line`` in the parser's source, where it is
    known, ``report`` the sanitizer's report, or "".
    """

    outcome: str
    words: str
    finding: Finding
    place: str = ""
    report: str = ""


def died_of(status: int) -> str:
    """How a process ended, in words: the name of its signal, or its exit status."""
    if status >= 0:
        return f"exit status {status}"
    return signal_name(-status)


def frames(report: str) -> list[str]:
    """The ``file:line`` of each frame of a sanitizer's report in the parser's own source, the innermost first."""
    return _FRAME.findall(report)


def panic_place(said: bytes) -> str:
    """``file:line`` of the last panic that was printed, "" without one."""
    found = _PLACE.search(said)
    return f"{found[1].decode(errors='replace')}:{int(found[2])}" if found else ""


def report_of(said: bytes) -> str:
    """The sanitizer's report in what a process printed, from its first line to its summary; "" without one."""
    found = _REPORT.search(said)
    if found is None:
        return ""
    text = said[found.start() :]
    summary = text.find(b"SUMMARY: AddressSanitizer")
    end = text.find(b"\n", summary) if summary >= 0 else -1
    return _portable(text[: end if end >= 0 else len(text)].decode(errors="replace"))


def _portable(report: str) -> str:
    """The report as it would be on any machine: without addresses and process ids, sources named from their package's root.

    The interpreter's frames are left out.
    """
    lines = []
    for line in report.splitlines():
        frame = _DEPTH.match(line)
        if frame and int(frame[1]) >= _DEEPEST:
            continue
        text = _NUMBERS.sub("", line)
        text = _SOURCE.sub(lambda match: match[1] or match[2], text)
        lines.append(_ABSOLUTE.sub(lambda match: match[1], text).rstrip())
    return "\n".join(lines) + "\n"


def call_at(target: Target, data: bytes, number: int) -> str:
    """The kind of the call that a process was at; "" for a file, and where none had begun."""
    kinds = target.call_names(data) if number else []
    return kinds[number - 1] if number and number <= len(kinds) else ""


def sign_at(target: Target, data: bytes, number: int, sign: str) -> str:
    """``sign``, with a word more where the target knows what such an end comes of, and nothing of it was there."""
    return f"{sign} unforeseen" if target.unforeseen(data, number, sign) else sign


def exit_reason(target: Target, data: bytes, status: int | None, said: bytes, call: int = 0) -> ExitReason:
    """The exit reason of a run of ``data``. ``status`` is that of :meth:`subprocess.Popen.wait`, None after a kill for time.

    ``said`` is the output of the process, ``call`` the number of its last call (:mod:`harness.programs.progress`).
    """
    at = call_at(target, data, call)
    if status is None or status == -signal.SIGXCPU:
        words = "no answer within the time limit" if status is None else "SIGXCPU: it used up its CPU time"
        return ExitReason("hang", words, death(target, data, "hang", "timeout", at))
    report = report_of(said)
    place = next(iter(frames(report)), "") or panic_place(said)
    if _REFUSED_ALLOCATION in said and (status == -signal.SIGABRT or "ABRT" in report[:200]):
        words = said[said.index(_REFUSED_ALLOCATION) :].split(b"\n", 1)[0].decode(errors="replace")
        return ExitReason("memory", words, death(target, data, "memory", "allocation", at), place, report)
    if report:
        found = _REPORT.search(report.encode())
        name = found[1].decode() if found else "unknown"
        if name in _MEMORY:
            return ExitReason("memory", name, death(target, data, "memory", "allocation", at), place, report)
        sign = _SIGNALS.get(name, name)
    else:
        sign = "stack-overflow" if _OVERFLOWED in said else died_of(status)
        if status == -signal.SIGABRT and _UNCAUGHT.search(said) and not _RUST_ABORTS.search(said):
            sign = UNCAUGHT
        elif status == -signal.SIGABRT and _OVERLAPS.search(said):
            sign = "SIGABRT at an overlap"
    sign = sign_at(target, data, call, sign)
    return ExitReason("crash", sign, death(target, data, "crash", sign, at), place, report)
