"""Quirks replace habits, count when they act, and go away again."""

import pytest

from stepwedge.errors import BadInput
from stepwedge.sim.quirks import Quirks, collect, quirk


class Habits:
    def __init__(self, low=0):
        self.low = low

    def offers(self, number: int) -> bool:
        return number > self.low

    def label(self, number: int, *, unit: str = "") -> str:
        return f"{number}{unit}"


@quirk("list.all", defect="DEF-1", severity="S1", overrides=Habits.offers, notices="everything is listed")
def everything(original, number):
    return True


@quirk("list.none", defect="DEF-2", severity="S2", overrides=Habits.offers, notices="nothing is listed")
def nothing(original, number):
    return False


@quirk("label.long", defect="DEF-3", severity="S4", overrides=Habits.label, notices="labels are long")
def long(original, number, *, unit=""):
    return original(number, unit=unit) + "!"


KNOWN = collect(globals())


def test_a_quirk_acts_only_when_its_answer_differs():
    quirks = Quirks(KNOWN)
    habits = quirks.adopt(Habits(low=1))
    quirks.set(["list.all", "label.long"])
    assert habits.offers(5)
    assert quirks.acted["list.all"] == 0
    assert habits.offers(0)
    assert habits.label(3, unit="mm") == "3mm!"
    assert quirks.acted == {"list.all": 1, "label.long": 1}


def test_without_quirks_the_habits_are_the_conforming_ones():
    quirks = Quirks(KNOWN)
    habits = quirks.adopt(Habits())
    quirks.set(["list.none"])
    assert not habits.offers(5)
    quirks.set([])
    assert habits.offers(5)
    assert vars(habits) == {"low": 0}


def test_two_quirks_of_one_habit_see_each_other_as_original_in_the_order_given():
    quirks = Quirks(KNOWN)
    habits = quirks.adopt(Habits())
    quirks.set(["list.all", "list.none"])
    assert not habits.offers(5)


def test_an_unknown_quirk_is_refused_with_a_guess():
    with pytest.raises(BadInput, match=r"did you mean 'list\.all'"):
        Quirks(KNOWN).set(["list.al"])
