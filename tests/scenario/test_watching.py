"""Deadlines without waiting for them: the clock is passed in."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from stepwedge.checks.check import Candidate, Look
from stepwedge.scenario.watching import FIRST_PAUSE, LONGEST_PAUSE, Naps, until

YES = Look(matched=[Candidate("it", 1)])
NO = Look()


@dataclass
class Clock:
    now: float = 0.0
    look_takes: float = 0.0
    pause_takes: float = 0.3

    def tick(self):
        return self.now

    def pause(self, seconds):
        assert seconds > 0
        self.now += min(seconds, self.pause_takes)


def watch(true_at, within=1.0, clock=None):
    clock = clock or Clock()
    begun = []

    def look():
        begun.append(clock.now)
        clock.now += clock.look_takes
        return YES if begun[-1] >= true_at else NO

    return until(look, lambda seen: seen.holds, within, clock), begun


def test_true_at_once_takes_one_look():
    seen, _ = watch(0.0)
    assert (seen.look.holds, seen.looks, seen.took) == (True, 1, 0.0)


def test_the_last_look_begins_at_the_deadline():
    seen, begun = watch(9.0)
    assert not seen.look.holds
    assert begun[-1] >= 1.0
    assert begun[-2] < 1.0


@pytest.mark.parametrize("true_at", [0.05, 0.3, 0.899, 0.9, 0.999, 1.0])
def test_what_becomes_true_within_the_time_is_always_seen(true_at):
    assert watch(true_at)[0].look.holds


def test_what_becomes_true_during_a_slow_look_is_seen_by_one_more():
    clock = Clock(look_takes=1.5)
    seen, begun = watch(0.9, clock=clock)
    assert seen.look.holds
    assert begun == [0.0, 1.5]


def test_without_time_there_is_still_one_look():
    assert watch(9.0, within=0.0)[0].looks == 1


def test_naps_grow_to_their_longest_and_never_past_the_deadline():
    slept = []
    naps = Naps(slept.append)
    for _ in range(12):
        naps.pause(10.0)
    assert slept[0] == FIRST_PAUSE
    assert slept == sorted(slept)
    assert slept[-1] == LONGEST_PAUSE
    naps.pause(0.001)
    assert slept[-1] == 0.001
