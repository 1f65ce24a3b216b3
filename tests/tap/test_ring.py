"""Shared memory keeps pieces in order, whole and bounded."""

from __future__ import annotations

import os
import random
from collections import deque

import pytest

from stepwedge.sim.tap.ring import POSSIBLE, Ring, share

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="there is no memory without a name here")


@pytest.fixture
def ring():
    descriptor = share(1 << 16)
    made = Ring(descriptor, 1 << 16)
    yield made
    made.close()
    os.close(descriptor)


def test_pieces_stay_whole_whatever_comes_and_goes(ring):
    chance, kept, refused = random.Random(1), deque(), 0  # noqa: S311 - the same every time
    for _ in range(20000):
        if chance.random() < 0.55:
            data = chance.randbytes(chance.randrange(1, 5000))
            start = ring.put(data)
            refused += start < 0
            if start >= 0:
                kept.append((start, data))
        elif kept:
            start, data = kept.popleft()
            assert ring.get(start, len(data)) == data
            ring.free(1)
    assert ring.pieces == len(kept)
    assert refused


def test_the_smallest_pieces_are_bounded_too(ring):
    assert sum(ring.put(b"a") >= 0 for _ in range(5000)) == (1 << 16) // 64
    ring.free(ring.pieces)
    assert ring.put(bytes(1 << 16)) == 0
    assert ring.put(b"a") == -1
    ring.free(1)
    assert ring.put(bytes((1 << 16) + 1)) == -1
    ring.warm()
