"""Counters for semantic features, so that libFuzzer keeps inputs with a new meaning and not with new edges alone.

libFuzzer takes any table of 8-bit counters with a table of (pc, flags) pairs beside it. A table made in Python through ctypes
counts as one more instrumented module. A feature is any hashable key. It gets the next free counter when it first shows, so
the numbering depends on the run alone, and the run stays repeatable.
"""

from __future__ import annotations

import ctypes
from collections.abc import Hashable

SIZE = 4096
# Invented program counters, far from any mapped module. libFuzzer only prints them.
_FIRST_PC = 0x7E00_0000_0000
# Further keys are dropped: a feature that is unbounded by mistake must not flood the corpus.
_LIMIT = SIZE - 1


class SemanticCounters:
    """One table of ``SIZE`` counters, registered with libFuzzer by :meth:`register`."""

    def __init__(self) -> None:
        self.table = bytearray(SIZE)
        self._pcs = (ctypes.c_size_t * (2 * SIZE))(*(x for i in range(SIZE) for x in (_FIRST_PC + 16 * i, 0)))
        self.index: dict[Hashable, int] = {}

    def register(self) -> None:
        """Give the table to libFuzzer, whose symbols must be in the global scope (``parsers.runtime.load``)."""
        library = ctypes.CDLL(None)
        # This reference pins the table's address.
        self._pinned = (ctypes.c_uint8 * SIZE).from_buffer(self.table)
        start = ctypes.addressof(self._pinned)
        pcs = ctypes.addressof(self._pcs)
        for name, first, size in (
            ("__sanitizer_cov_8bit_counters_init", start, SIZE),
            ("__sanitizer_cov_pcs_init", pcs, ctypes.sizeof(self._pcs)),
        ):
            getattr(library, name)(ctypes.c_void_p(first), ctypes.c_void_p(first + size))

    def hit(self, key: Hashable) -> None:
        """Note that this input has the feature ``key``. libFuzzer clears the table before each run."""
        place = self.index.get(key)
        if place is None:
            place = len(self.index)
            if place >= _LIMIT:
                return
            self.index[key] = place
        self.table[place] = 1
