"""Memory that two processes share: one puts pieces into it, the other reads them where they lie."""

from __future__ import annotations

import mmap
import os
from collections import deque
from typing import Final

_STEP: Final = 64
"""Bytes that the smallest piece takes, so that a number of bytes bounds a number of pieces."""
WARM: Final = 8 << 20
"""Bytes at the front that are there from the start: a page that is new costs ten times its copy."""
_PAGE: Final = 4096
POSSIBLE: Final = hasattr(os, "memfd_create")
"""Whether there is memory here that has a descriptor and no name in any file system."""


def share(size: int) -> int:
    """Return the descriptor of so many bytes of memory; pages that nobody wrote to take none."""
    descriptor = os.memfd_create("stepwedge-tap")
    os.ftruncate(descriptor, size)
    return descriptor


class Ring:
    """Keeps pieces until they were read, in the order in which they were put.

    Attributes:
        pieces: how many are kept.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        """Use so many bytes of what ``descriptor`` stands for."""
        self._memory = mmap.mmap(descriptor, size)
        self._size = size
        self._kept: deque[tuple[int, int]] = deque()  # where each begins and ends
        self._next = 0

    @property
    def pieces(self) -> int:
        """How many pieces are kept."""
        return len(self._kept)

    def put(self, data: bytes | memoryview) -> int:
        """Keep a piece and return where it lies; -1 when there is no room for it."""
        size = max(-(-len(data) // _STEP) * _STEP, _STEP)
        start = self._room(size)
        if start >= 0:
            self._memory[start : start + len(data)] = data
            self._next = start + size
            self._kept.append((start, self._next))
        return start

    def _room(self, size: int) -> int:
        if not self._kept:
            return (
                0 if size <= self._size else -1
            )  # from the front again: those pages are there, and in the cache
        oldest, at = self._kept[0][0], self._next
        if at <= oldest:  # we are round once more than the reader; equal is full
            return at if at + size <= oldest else -1
        if at + size <= self._size:
            return at
        return 0 if size <= oldest else -1

    def warm(self) -> None:
        """Let the system provide the pages at the front; nothing is written."""
        for start in range(0, min(WARM, self._size), _PAGE):
            self._memory[start]

    def get(self, start: int, size: int) -> bytes:
        """Return a copy of a piece."""
        return self._memory[start : start + size]

    def free(self, pieces: int) -> None:
        """Give back the room of so many pieces, the oldest first."""
        for _ in range(pieces):
            self._kept.popleft()

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()
