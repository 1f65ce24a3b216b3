"""Several journals read as one: complete, in order, each exchange once, large payloads brought along."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stepwedge.actors.journals import Journals
from stepwedge.errors import Broken
from stepwedge.scenario.case import Feed


class System:
    """The admin API of one system, as far as its journal goes."""

    url = "http://127.0.0.1:1"

    def __init__(self, *ends, payloads=()):
        self.lines = []
        self.payloads = dict(payloads)
        self.asked = 0
        self.add(*ends)

    def add(self, *ends, **more):
        for end in ends:
            self.lines.append(
                {
                    "number": len(self.lines) + 1, "at": end - 0.5, "took": 0.5, "actor": "a", "direction": "in",
                    "protocol": "hl7", "kind": str(end), "request": {}, "response": {}, **more,
                }
            )  # fmt: skip

    def journal(self, after, wait=0.0):
        self.asked += 1
        assert not wait
        return [dict(line) for line in self.lines[after : after + 1000]]

    def payload(self, number, part):
        return self.payloads.get((number, part))


def read(journals, after=0):
    return [(one["number"], one["kind"]) for one in journals.journal(after)]


def test_exchanges_come_in_the_order_they_were_over(tmp_path):
    journals = Journals({"a": System(1, 4), "b": System(2, 3)}, tmp_path, now=lambda: 9)
    assert read(journals) == [(1, "1"), (2, "2"), (3, "3"), (4, "4")]


def test_what_is_over_after_the_look_began_waits_for_its_cause(tmp_path):
    """The first journal was read before the cause stood there, the second after its effect did."""
    clock, cause = [10], System()
    effect = System(12)
    journals = Journals({"cause": cause, "effect": effect}, tmp_path, now=lambda: clock[0])
    assert read(journals) == []
    cause.add(11)
    clock[0] = 13
    assert read(journals) == [(1, "11"), (2, "12")]


def test_a_clock_that_is_ahead_delays_and_never_hides(tmp_path):
    ahead = System(1000)
    journals = Journals({"a": ahead}, tmp_path, now=lambda: 1)
    assert read(journals) == []
    assert read(journals) == [(1, "1000")]


def test_more_than_one_answer_holds(tmp_path):
    journals = Journals({"a": System(*range(1500)), "b": System(*range(1500))}, tmp_path, now=lambda: 1e9)
    feed = Feed(journals)
    taken = feed.take()
    assert len(taken) == feed.after == 3000
    assert [one.number for one in taken] == list(range(1, 3001))
    assert feed.take() == []


def test_what_was_answered_is_forgotten(tmp_path):
    system = System(1, 2, 3)
    journals = Journals({"a": system}, tmp_path, now=lambda: 9)
    journals.journal(0)
    assert read(journals, 2) == [(3, "3")]
    assert len(journals._merged) == 1
    system.add(4)
    assert read(journals, 3) == [(4, "4")]


def test_payloads_on_the_systems_own_disk_are_fetched_once(tmp_path):
    system = System(payloads={(1, "request"): b"image"})
    for _ in range(2):
        system.add(1, request={"file": "/state/elsewhere", "sha256": "abc", "size": 5})
    one, two = Journals({"a": system}, tmp_path / "blobs", now=lambda: 9).journal(0)
    assert one["request"]["file"] == two["request"]["file"] == str(tmp_path / "blobs/abc")
    assert (tmp_path / "blobs/abc").read_bytes() == b"image"


def test_workers_that_fetch_the_same_payload_at_the_same_moment_do_not_meet(tmp_path, monkeypatch):
    system = System(payloads={(1, "request"): b"image"})
    system.add(1, request={"sha256": "abc", "file": "elsewhere"})
    here = Journals({"a": system}, tmp_path / "blobs", now=lambda: 9)
    there = Journals({"a": system}, tmp_path / "blobs", now=lambda: 9)
    written, pid = Path.write_bytes, os.getpid()

    def written_by_both(path, data):
        monkeypatch.setattr(Path, "write_bytes", written)
        written(path, data)
        with monkeypatch.context() as other:
            other.setattr(os, "getpid", lambda: pid + 1)
            there.journal(0)

    monkeypatch.setattr(Path, "write_bytes", written_by_both)
    (one,) = here.journal(0)
    assert Path(one["request"]["file"]).read_bytes() == b"image"
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == ["abc"]


def test_a_payload_that_was_deleted_stays_a_name(tmp_path):
    system = System()
    system.add(1, response={"file": "/state/gone", "sha256": "abc", "size": 5})
    (one,) = Journals({"a": system}, tmp_path, now=lambda: 9).journal(0)
    assert one["response"]["file"] == "/state/gone"


def test_a_system_that_is_gone_is_said_so_and_not_passed_over(tmp_path):
    """Waiting asks over the wire; nobody listens at this address."""
    journals = Journals({"a": System()}, tmp_path)
    with pytest.raises(Broken, match="cannot be reached"):
        journals.journal(0, wait=0.5)
