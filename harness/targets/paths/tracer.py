"""The other process: it stops a thread at a chosen file system call, acts on its files, and lets the thread go on.

It runs as a script with the standard library alone: ``python -I -S tracer.py DESCRIPTOR``. Jobs come as lines of JSON. ptrace
stops each call of std, of rustix' inline calls and of torch alike. A preloaded library would miss inline calls, and a filter
of seccomp could not be taken off the worker again. Only calls on files of the job's folder count, so that the number of a
call depends on the parser and not on the interpreter.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import shutil
import signal
import socket
import stat
import struct
import sys
import time
from typing import Any

#: Arguments of getpgid around a call. No process has these numbers.
BEGIN, END = 0x5AFE0001, 0x5AFE0002

_SEIZE, _INTERRUPT, _LISTEN, _SYSCALL, _DETACH = 0x4206, 0x4207, 0x4208, 24, 17
_GET_REGISTERS, _SET_REGISTERS, _SYSCALL_INFO = 0x4204, 0x4205, 0x420E
_TRACESYSGOOD, _WALL, _EVENT_STOP, _PRSTATUS = 1, 0x40000000, 128, 1
_ENTRY, _EXIT = 1, 2
#: Looks, 2 ms apart, at a thread that sleeps in a call on a pipe before it counts as waiting.
_LOOKS = 5
#: Releases of a thread that waits, before it is left to the time limit of the run.
_RELEASES = 4
# System calls by name: number on x86-64 and on ARM64 (-1: none), and the argument with a path (>= 0) or a descriptor (< 0: ~n).
_CALLS = {
    "open": (2, -1, 0), "stat": (4, -1, 0), "lstat": (6, -1, 0), "access": (21, -1, 0), "rename": (82, -1, 0), "mkdir": (83, -1, 0),
    "link": (86, -1, 0), "unlink": (87, -1, 0), "symlink": (88, -1, 1), "readlink": (89, -1, 0), "chmod": (90, -1, 0),
    "chown": (92, -1, 0), "truncate": (76, 45, 0), "openat": (257, 56, 1), "openat2": (437, 437, 1), "fstatat": (262, 79, 1),
    "unlinkat": (263, 35, 1), "renameat": (264, 38, 1), "renameat2": (316, 276, 1), "linkat": (265, 37, 3), "symlinkat": (266, 36, 2),
    "readlinkat": (267, 78, 1), "fchmodat": (268, 53, 1), "faccessat": (269, 48, 1), "faccessat2": (439, 439, 1),
    "statx": (332, 291, 1), "mkdirat": (258, 34, 1), "fchownat": (260, 54, 1), "read": (0, 63, ~0), "write": (1, 64, ~0),
    "close": (3, 57, ~0), "fstat": (5, 80, ~0), "lseek": (8, 62, ~0), "mmap": (9, 222, ~4), "pread": (17, 67, ~0),
    "pwrite": (18, 68, ~0), "readv": (19, 65, ~0), "writev": (20, 66, ~0), "fsync": (74, 82, ~0), "fdatasync": (75, 83, ~0),
    "ftruncate": (77, 46, ~0), "fchmod": (91, 52, ~0), "fchown": (93, 55, ~0), "fadvise": (221, 223, ~0), "fallocate": (285, 47, ~0),
    "preadv": (295, 69, ~0), "pwritev": (296, 70, ~0), "flock": (73, 32, ~0), "sendfile": (40, 71, ~0), "copy_file_range": (326, 285, ~0),
}  # fmt: skip
_GETPGID = {"x86_64": 121, "aarch64": 155}
_COLUMN = {"x86_64": 0, "aarch64": 1}
# Registers by their place in the machine's table (NT_PRSTATUS).
_RAX, _RDX, _ORIG_RAX, _REGISTERS = 10, 12, 15, 27

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request: int, tid: int, address: int = 0, data: Any = None) -> int:
    """One request. Raises OSError."""
    ctypes.set_errno(0)
    given = _libc.ptrace(request, tid, address, data)
    if given == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(given)


def injects() -> bool:
    """Whether failures of system calls can be made on this machine."""
    return platform.machine() == "x86_64"


class Machine:
    """The numbers of system calls here. Raises OSError on a machine without a table."""

    def __init__(self) -> None:
        machine = platform.machine()
        if machine not in _COLUMN:
            raise OSError(f"there is no table of system calls for {machine}")
        column = _COLUMN[machine]
        self.names = {row[column]: (name, row[2]) for name, row in _CALLS.items() if row[column] >= 0}
        self.getpgid = _GETPGID[machine]


class Trace:
    """One job: a thread, from its marker BEGIN to its marker END."""

    def __init__(self, machine: Machine, job: dict[str, Any]) -> None:
        self._machine = machine
        self._job = job
        self._tid: int = job["tid"]
        self._root = os.fsencode(job["root"]) + b"/"
        self._memory = -1
        self._inside = self._on_pipe = False
        self._fault = 0
        self.report: dict[str, Any] = {"calls": [], "acted": False, "waited": 0}

    def attach(self) -> None:
        """Stop the thread, and let it go on to its next system call. Raises OSError."""
        ptrace(_SEIZE, self._tid, 0, _TRACESYSGOOD)
        ptrace(_INTERRUPT, self._tid)
        os.waitpid(self._tid, _WALL)
        self._memory = os.open(f"/proc/{self._tid}/mem", os.O_RDONLY)
        ptrace(_SYSCALL, self._tid)

    def follow(self) -> bool:
        """Follow the thread to its marker END. False where it ended before."""
        try:
            while True:
                status = self._wait()
                if not os.WIFSTOPPED(status):
                    return False
                number, event = os.WSTOPSIG(status), status >> 16
                if number == signal.SIGTRAP | 0x80:
                    if self._stopped():
                        ptrace(_DETACH, self._tid)
                        return True
                    ptrace(_SYSCALL, self._tid)
                elif event == _EVENT_STOP:
                    stopped = number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
                    ptrace(_LISTEN if stopped else _SYSCALL, self._tid)
                else:
                    ptrace(_SYSCALL, self._tid, 0, number)
        except ProcessLookupError:  # killed while it was stopped
            return False
        finally:
            os.close(self._memory)

    def _wait(self) -> int:
        quiet = 0
        while True:
            # A thread that sleeps in a call on one of our pipes waits for another process, and there is no other.
            pid, status = os.waitpid(self._tid, _WALL | (os.WNOHANG if self._on_pipe else 0))
            if pid:
                return status
            time.sleep(0.002)
            quiet = quiet + 1 if state(self._tid) == "S" else 0
            if quiet == _LOOKS:
                quiet = 0
                release(self._job, self.report)

    def _stopped(self) -> bool:
        """Look at a system call. True at the marker END."""
        info = ctypes.create_string_buffer(88)
        ptrace(_SYSCALL_INFO, self._tid, len(info), info)
        if info.raw[0] == _EXIT:
            self._on_pipe = False
            if self._fault:
                self._set(_RAX, -self._fault)
                self._fault = 0
        if info.raw[0] != _ENTRY:
            return False
        number, *arguments = struct.unpack_from("=7Q", info.raw, 24)
        if number == self._machine.getpgid:
            self._inside |= arguments[0] == BEGIN
            return bool(arguments[0] == END)
        name, place = self._machine.names.get(number, ("", 0))
        if not self._inside or not name or not self._ours(arguments, place):
            return False
        self._on_pipe = bool(self._job["pipe"])
        calls = self.report["calls"]
        if len(calls) == self._job["point"] and not self.report["acted"]:
            self.report["acted"] = self._act(name, arguments)
        calls.append(name)
        return False

    def _ours(self, arguments: list[int], place: int) -> bool:
        if place >= 0:
            path = self._text(arguments[place])
            if path:
                return path.startswith(self._root) or path[:1] != b"/"
            place = ~(place - 1)  # the path is empty, and the descriptor stands before it
        return self._descriptor(arguments[~place])

    def _descriptor(self, number: int) -> bool:
        try:
            return (
                os.readlink(f"/proc/{self._tid}/fd/{number & 0xFFFFFFFF}")
                .encode(sys.getfilesystemencoding(), "surrogateescape")
                .startswith(self._root)
            )
        except OSError:
            return False

    def _text(self, address: int) -> bytes:
        """The string at an address of the thread, up to the longest path."""
        text = b""
        while len(text) <= 4096 and b"\0" not in text:
            # Up to the end of the page: the next one may not be there.
            try:
                part = os.pread(self._memory, 4096 - address % 4096, address)
            except OSError:  # no address of the thread
                part = b""
            text += part or b"\0"
            address += len(part)
        return text.partition(b"\0")[0]

    def _act(self, name: str, arguments: list[int]) -> bool:
        """Do what the job says. True where something was done."""
        if (fault := self._job.get("fault")) is None:
            act(self._job["act"])
        elif name not in self._job["only"]:
            return False
        elif fault:
            self._set(_ORIG_RAX, -1)
            self._fault = fault
        elif arguments[2] < 2:
            return False
        else:
            self._set(_RDX, 1)  # the number of bytes
        return True

    def _set(self, register: int, value: int) -> None:
        table = (ctypes.c_longlong * _REGISTERS)()
        parts = (ctypes.c_void_p * 2)(ctypes.addressof(table), ctypes.sizeof(table))
        ptrace(_GET_REGISTERS, self._tid, _PRSTATUS, parts)
        table[register] = value
        ptrace(_SET_REGISTERS, self._tid, _PRSTATUS, parts)


def state(tid: int) -> str:
    """The letter of a thread's state; "" where it is gone."""
    try:
        with open(f"/proc/{tid}/stat", encoding="utf-8", errors="replace") as about:
            return about.read().rpartition(") ")[2][:1]
    except OSError:
        return ""


def release(job: dict[str, Any], report: dict[str, Any]) -> None:
    """Come to the other end of the pipe that a thread waits for: with bytes once, where the job has some."""
    feed = job.pop("feed", None)
    if feed is None:
        report["waited"] += 1
    if report["waited"] > _RELEASES:
        return
    with contextlib.suppress(OSError):
        end = os.open(job["pipe"], (os.O_RDWR if feed is None else os.O_WRONLY) | os.O_NONBLOCK)
        if feed is not None:
            os.write(end, bytes.fromhex(feed))
        os.close(end)


def act(steps: list[list[Any]]) -> None:
    """Do the steps of an act. A step that cannot be done is passed over: its file may not be there."""
    for what, path, *more in steps:
        with contextlib.suppress(OSError):
            _STEPS[what](path, *more)


def _put(path: str, data: str) -> None:
    with open(path, "wb") as file:
        file.write(bytes.fromhex(data))


def _overwrite(path: str, data: str) -> None:
    """Other bytes in the same file, which never gets shorter."""
    number = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    os.pwrite(number, bytes.fromhex(data), 0)
    os.close(number)


def _append(path: str) -> None:
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    os.write(number, bytes(16))
    os.close(number)


def _cut(path: str) -> None:
    os.truncate(path, os.stat(path).st_size // 2)


def _remove(path: str) -> None:
    """Remove a file, a link or a folder."""
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _sweep(folder: str, known: list[str]) -> None:
    """Remove all unknown files, as programs do that tidy up."""
    for name in set(os.listdir(folder)) - set(known):
        _remove(os.path.join(folder, name))


_STEPS: dict[str, Any] = {
    "put": _put, "overwrite": _overwrite, "append": _append, "cut": _cut, "remove": _remove, "sweep": _sweep, "rename": os.rename,
    "symlink": lambda path, to: os.symlink(to, path), "mkdir": os.mkdir, "mkfifo": os.mkfifo, "chmod": os.chmod,
}  # fmt: skip


def watch(job: dict[str, Any], line: socket.socket) -> dict[str, Any]:
    """Without ptrace: wait for the end of a call, which a byte tells, and release a thread that sleeps."""
    report: dict[str, Any] = {"calls": [], "acted": False, "waited": 0}
    quiet = 0
    line.settimeout(0.004)
    while True:
        with contextlib.suppress(TimeoutError):
            line.recv(1)
            line.settimeout(None)
            return report
        quiet = quiet + 1 if state(job["tid"]) == "S" else 0
        if quiet == 4 * _LOOKS:
            quiet = 0
            release(job, report)


def serve(line: socket.socket) -> None:
    """Do jobs until the line ends. The answer to a job is ready, or the reason why the thread cannot be traced; then a report."""
    jobs = line.makefile("r", encoding="ascii", buffering=1)

    def say(message: dict[str, Any]) -> None:
        line.sendall(json.dumps(message).encode() + b"\n")

    while text := jobs.readline():
        job = json.loads(text)
        try:
            if not job["trace"]:
                raise OSError("not asked to trace")
            trace = Trace(Machine(), job)
            trace.attach()
        except OSError as error:
            say({"refused": str(error)})
            if job["pipe"] and job["point"] < 0:
                say(watch(job, line))
            continue
        say({})
        if trace.follow():
            say(trace.report)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
