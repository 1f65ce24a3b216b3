"""What is written out when somebody looks is what would have been written at once: same versions, times, order and notices."""

from __future__ import annotations

import contextlib
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stepwedge.evidence.journal import Journal
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.address import Directory
from stepwedge.sim.bench import Bench
from stepwedge.sim.fhir.publisher import MOST_DUE, Projection, Publisher
from stepwedge.sim.fhir.shelf import Shelf
from stepwedge.sim.outbox import Delivery
from stepwedge.sim.ports import Ports
from stepwedge.sim.resources.people import patient_resource
from stepwedge.sim.tables import State
from stepwedge.wire import fhir_search

HOOK = {
    "resourceType": "Subscription",
    "status": "active",
    "criteria": "Patient?",
    "channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1:1/", "payload": "application/fhir+json"},
}


class Books(State):
    def __init__(self):
        super().__init__(7, "books")
        self.patients = self.table("patients", Patient)
        self.shelf = Shelf(self)


class Clock:
    def __init__(self):
        self.at = datetime(2026, 11, 24, tzinfo=UTC)

    def tick(self):
        self.at += timedelta(milliseconds=250)

    def now(self):
        return self.at


class Silent:
    def check(self, send):
        pass

    async def __call__(self, send):
        return Delivery()

    async def close(self):
        pass


class System:
    """Books with a publisher on them, restarted by opening the same folder again."""

    def __init__(self, folder, *, alone):
        self.folder, self.alone, self.clock = folder, alone, Clock()
        self.bench = None
        self.restart()

    def restart(self):
        if self.bench is not None:
            self.bench.store.close()
        where = self.folder
        self.bench = Bench(
            "ris", "ris", {}, where, 7, Journal(where), Directory({}), Ports(where / "p"), clock=self.clock
        )
        self.bench.outbox.register("rest-hook", Silent())
        self.books = self.bench.restore(Books())
        shown = Projection(("Patient",), lambda _key, row: [patient_resource(row)], alone=self.alone)
        Publisher(self.bench, self.books, self.books.shelf, {"patients": shown}).attach()

    def admit(self, number, family):
        with self.bench.change(self.books):
            self._admit(number, family)

    def _admit(self, number, family):
        known = self.books.patients.get(f"SW{number}") or Patient(f"SW{number}", PersonName(family))
        self.books.patients[known.id] = replace(known, name=PersonName(family))

    def admit_and_fail(self, number, family):
        with contextlib.suppress(ZeroDivisionError), self.bench.change(self.books):
            self._admit(number, family)
            if number % 2:
                self.books.shelf.latest("Patient", f"SW{number}")
            raise ZeroDivisionError

    def remove(self, number):
        if f"SW{number}" in self.books.patients:
            with self.bench.change(self.books):
                del self.books.patients[f"SW{number}"]

    def client(self, number, family):
        """Put a resource as a client does, which the books take."""
        with self.bench.change(self.books):
            self._admit(number, family)
            told = {"id": f"SW{number}", "gender": "other", "name": [{"family": family}]}
            self.books.shelf.put("Patient", f"SW{number}", told, self.clock.at)

    def subscribe(self, number, _family):
        with self.bench.change(self.books):
            self.books.shelf.put("Subscription", f"S{number}", HOOK, self.clock.at)

    def unsubscribe(self, number):
        if self.books.shelf.latest("Subscription", f"S{number}"):
            with self.bench.change(self.books):
                self.books.shelf.remove("Subscription", f"S{number}", self.clock.at)

    def reset(self):
        with self.bench.change(self.books):
            self.books.clear()

    def read(self, number):
        return self.books.shelf.latest("Patient", f"SW{number}")

    def shown(self):
        shelf = self.books.shelf
        number = fhir_search.parse("Patient", [("identifier", "SW3")])
        return (
            shelf.history("Patient"),
            [shelf.history("Patient", f"SW{number}") for number in range(6)],
            sorted(one.place for one in shelf.candidates(fhir_search.parse("Patient", []))),
            [one.place for one in shelf.candidates(number)],
        )

    def told(self):
        return [json.loads(send.body) for send in self.bench.store.waiting()]


@pytest.mark.parametrize("seed", range(25))
def test_late_is_as_at_once(tmp_path, seed):
    chance = random.Random(seed)  # noqa: S311 - a walk that can be repeated
    (tmp_path / "late").mkdir()
    (tmp_path / "once").mkdir()
    late, once = System(tmp_path / "late", alone=True), System(tmp_path / "once", alone=False)
    waited = 0
    for step in range(120):
        number, family = chance.randrange(6), f"F{chance.randrange(3)}"
        acts = [
            *[("admit", number, family)] * 12,
            ("admit_and_fail", number, family),
            ("remove", number),
            ("client", number, family),
            *[("read", number)] * 2,
            *[("restart",)] * (step % 3 == 0),
            *([("subscribe", number % 2, family), ("unsubscribe", number % 2)] * (seed % 2)),
            *[("reset",)] * (step % 20 == 19),
        ]
        act, *given = chance.choice(acts)
        late.clock.tick()
        once.clock.tick()
        found = getattr(late, act)(*given), getattr(once, act)(*given)
        assert found[0] == found[1]
        waited += len(late.books.shelf.due)
        assert not once.books.shelf.due
    assert waited
    assert late.told() == once.told()
    late.restart()
    once.restart()
    assert late.shown() == once.shown()
    late.restart()
    assert late.shown() == once.shown()
    assert not late.books.shelf.due


def test_a_row_that_nobody_looks_at_keeps_few_changes_due(tmp_path):
    system = System(tmp_path, alone=True)
    for number in range(3 * MOST_DUE):
        system.admit(1, f"F{number}")
        assert max(len(one.at) for one in system.books.shelf.due.values()) <= MOST_DUE
    found = system.books.shelf.history("Patient", "SW1")
    assert [one.resource["name"][0]["family"] for one in found] == [
        f"F{number}" for number in reversed(range(3 * MOST_DUE))
    ]


def test_what_was_shown_is_kept(tmp_path):
    """A version that was read is the same after a restart, though what it is made of changed."""
    system = System(tmp_path, alone=True)
    system.admit(1, "Before")
    seen = system.read(1)
    system.restart()
    assert system.read(1) == seen
    assert not system.books.shelf.due
