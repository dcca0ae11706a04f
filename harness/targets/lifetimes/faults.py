"""Acts while a writer reads memory: userfaultfd stops the writer at its first touch of a page.

The page is taken away. A process of its own waits for the writer to touch it, lets the act run in another thread, and gives
the page back. It gives the page back after :data:`PATIENCE` seconds, too: a writer that holds the interpreter's lock would
otherwise wait for an act that waits for the lock.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import platform
import select
import struct
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from harness.targets.lifetimes.kit import ended

#: Seconds that the writer waits for the act.
PATIENCE = 2.0
_CALLS = {"x86_64": 323, "aarch64": 282}
_USER_MODE_ONLY = 1
_API, _REGISTER, _COPY = 0xC018AA3F, 0xC020AA00, 0xC028AA03
_MISSING, _DONTNEED = 1, 4
_libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def available() -> bool:
    """Whether the kernel gives faults to this process."""
    descriptor = _opened()
    if descriptor >= 0:
        os.close(descriptor)
    return descriptor >= 0


def _opened() -> int:
    """A userfaultfd for faults of user code; -1 where there is none."""
    number = _CALLS.get(platform.machine())
    if number is None:
        return -1
    descriptor = int(_libc.syscall(number, os.O_CLOEXEC | os.O_NONBLOCK | _USER_MODE_ONLY))
    if descriptor >= 0 and not _asked(descriptor, _API, bytearray(struct.pack("QQQ", 0xAA, 0, 0))):
        os.close(descriptor)
        return -1
    return descriptor


def _asked(descriptor: int, request: int, argument: bytearray) -> bool:
    buffer = (ctypes.c_char * len(argument)).from_buffer(argument)
    return bool(_libc.ioctl(descriptor, ctypes.c_ulong(request), buffer) == 0)


def faulting(call: Callable[[], Any], act: Callable[[], Any], value: Any) -> Any:
    """Make a call. When it first touches the memory of ``value``, another thread does the act while the call waits there.

    Where the kernel gives no faults, or the memory is not in pages of its own, the call runs without the act.
    """
    address = value.data_ptr() if hasattr(value, "data_ptr") else value.ctypes.data
    size = value.numel() * value.element_size() if hasattr(value, "data_ptr") else value.nbytes
    descriptor = _opened() if size and address % mmap.PAGESIZE == 0 else -1
    if descriptor < 0:
        return call()
    length = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    page = ctypes.create_string_buffer(ctypes.string_at(address, length), length)
    met, meet = os.pipe()
    ready, done = os.pipe()
    over, end = os.pipe()
    child = os.fork()
    if not child:
        os.close(end)
        _serve(descriptor, address, page, meet, ready, over)
    os.close(meet)
    thread = threading.Thread(target=_wait, args=(met, done, act), daemon=True)
    thread.start()
    try:
        if _asked(descriptor, _REGISTER, bytearray(struct.pack("QQQQ", address, length, _MISSING, 0))):
            _libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(length), _DONTNEED)
        return call()
    finally:
        # The child gives the page back before it ends. It ends, too, when this process dies.
        os.close(end)
        os.waitpid(child, 0)
        ended(thread)
        for one in (descriptor, met, ready, done, over):
            os.close(one)


def _wait(met: int, done: int, act: Callable[[], Any]) -> None:
    """Do the act when the writer waits."""
    if os.read(met, 1):
        act()
        os.write(done, b"\0")


def _serve(descriptor: int, address: int, page: Any, meet: int, ready: int, over: int) -> NoReturn:
    """In the child: wait for the touch, then for the act, then give the page back."""
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        waiting.register(over, select.POLLHUP)
        if any(one == descriptor for one, _ in waiting.poll()):
            os.write(meet, b"\0")
            select.select([ready, over], [], [], PATIENCE)
        _asked(descriptor, _COPY, bytearray(struct.pack("QQQQq", address, ctypes.addressof(page), len(page), 0, 0)))
    finally:
        os._exit(0)
