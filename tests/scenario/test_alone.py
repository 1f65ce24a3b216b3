"""Cases that disturb a system others use: alone in the room, and taken back whatever happens."""

from __future__ import annotations

import threading

import pytest

from stepwedge.actors.words import word, words
from stepwedge.errors import Refused
from stepwedge.scenario.alone import Room

PATIENCE = 20
ORDER = """\
  - given: ehr.register_patient
    as: patient
"""
HEARD = "  - {expect: message.received, at: pacs, where: {type: ADT^A04, patient: $patient.id}, within: 2s}\n"


@pytest.fixture
def rooms(tmp_path):
    made = [Room(tmp_path) for _ in range(3)]
    yield made
    for room in made:
        room.leave()


class Entering(threading.Thread):
    """Somebody who comes in, and says so."""

    def __init__(self, room, *, alone):
        super().__init__(daemon=True)
        self.room, self.alone, self.inside = room, alone, threading.Event()
        self.start()

    def run(self):
        self.room.enter(alone=self.alone)
        self.inside.set()


def test_those_who_disturb_nobody_are_in_together(rooms):
    for room in rooms:
        assert Entering(room, alone=False).inside.wait(PATIENCE)


def test_who_disturbs_waits_until_the_room_is_empty_and_nobody_comes_in_before(rooms):
    quiet, loud, late = rooms
    quiet.enter(alone=False)
    first = Entering(loud, alone=True)
    assert not first.inside.wait(0.2)
    second = Entering(late, alone=False)
    assert not second.inside.wait(0.2)
    quiet.leave()
    assert first.inside.wait(PATIENCE)
    assert not second.inside.wait(0.2)
    loud.leave()
    assert second.inside.wait(PATIENCE)


def test_two_that_turn_out_to_disturb_do_not_wait_for_each_other(rooms):
    for room in rooms[:2]:
        room.enter(alone=False)
    both = [Entering(room, alone=True) for room in rooms[:2]]
    for _ in both:
        inside = next(one for one in [*both, *both] if one.inside.wait(PATIENCE / 4))
        both.remove(inside)
        assert not any(one.inside.is_set() for one in both)
        inside.room.leave()


def test_a_process_of_its_own_waits_for_nobody():
    for _ in range(2):
        assert Entering(Room(), alone=True).inside.wait(PATIENCE)


@pytest.mark.parametrize("one", [one for one in words() if one.undo], ids=lambda one: one.full)
def test_every_undo_is_a_word_that_gets_what_it_needs(one):
    back = word(one.role, one.undo.name)
    known = {parameter.name for parameter in one.takes} | set(one.gives or {})
    assert set(one.undo.takes.values()) <= known
    assert not back.problem(one.undo.takes)


def told(hospital, verb):
    return [args for name, _, args in hospital.told if name == verb]


@pytest.fixture
def unplugged(hospital):
    hospital.words |= {
        "unplug": lambda args, case: {"waiting": 0},
        "plug_in": lambda args, case: {"sent": 0, "waiting": 0},
    }
    return hospital


def test_what_is_taken_back_by_the_case_is_taken_back_once(play, unplugged):
    ending, _ = play(ORDER + "  - {do: ct.unplug}\n" + HEARD + "  - {do: ct.plug_in}\n")
    assert ending.verdict == "passed"
    assert told(unplugged, "plug_in") == [{}]


def test_what_a_broken_case_leaves_behind_is_taken_back_and_recorded(play, unplugged):
    def refuse(args, case):
        raise Refused("no")

    unplugged.words["place_order"] = refuse
    order = "  - {do: ehr.place_order, with: {patient: $patient, procedure: CTCHEST}, as: order}\n"
    ending, journal = play(ORDER + "  - {do: ct.unplug}\n" + order + "  - {do: ct.plug_in}\n")
    assert ending.verdict == "failed"
    assert told(unplugged, "plug_in") == [{}]
    steps = [one for one in journal if one["record"] == "step"]
    assert [(one["word"], one["verdict"]) for one in steps[-2:]] == [
        ("ct.plug_in", "skipped"),
        ("ct.plug_in", "passed"),
    ]
    assert steps[-1]["title"] == "Taken back at the end of the case: ct.unplug"
    assert steps[-1]["line"] == steps[1]["line"]


def test_what_cannot_be_taken_back_makes_the_case_broken(play, unplugged):
    def refuse(args, case):
        raise Refused("the plug is stuck")

    unplugged.words["plug_in"] = refuse
    ending, _ = play(ORDER + "  - {do: ct.unplug}\n" + HEARD)
    assert ending.verdict == "broken"
    assert "the plug is stuck" in ending.message


def test_the_newest_is_taken_back_first_with_what_held_before(play, hospital):
    versions = iter([{}, {"a": "$1"}])
    hospital.words["reload_table"] = lambda args, case: {
        "table": args["table"],
        "version": 2,
        "before": next(versions, {}),
    }
    load = "  - {do: engine.reload_table, with: {table: t, rows: {a: %s}}}\n"
    play(ORDER + load % "$$1" + load % "$$2" + HEARD)
    assert [args["rows"] for args in told(hospital, "reload_table")] == [
        {"a": "$1"},
        {"a": "$2"},
        {"a": "$1"},
        {},
    ]
