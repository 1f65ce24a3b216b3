"""Faults of whole systems: proven, taken back also when a case ends halfway, and never a false pass."""

from __future__ import annotations

import pytest

from stepwedge.actors.machines import KINDS
from stepwedge.errors import Broken, Inconclusive

STEPS = """\
  - {given: ehr.register_patient, as: patient}
  - fault: {on: ris, kind: kill}
    as: death
  - {do: ehr.place_order, with: {patient: $patient, procedure: CTCHEST}, as: order}
  - {expect: message.received, at: pacs, where: {accession: $order.accession}, within: 1s}
  - {lift: $death}
"""


class Machine:
    """What the engine calls for a system in a process of its own."""

    def __init__(self, refuses="", cannot=""):
        self.done, self.refuses, self.no = [], refuses, cannot

    def cannot(self, _kind):
        return self.no

    def __getattr__(self, verb):
        def act(**_):
            if verb == self.refuses:
                raise Inconclusive(f"no evidence of {verb}")
            self.done.append(verb)
            return f"evidence of {verb}"

        return act


@pytest.fixture
def disturbed(hospital, play, monkeypatch):
    silent = {}
    monkeypatch.setattr("stepwedge.scenario.process_faults.silent", lambda *_, **__: dict(silent))
    monkeypatch.setattr("stepwedge.scenario.process_faults._COMES_BACK", 0.1)

    def run(steps=STEPS, machine=None, there=True, mute=()):
        machine = machine or Machine()
        silent.update(dict.fromkeys(mute, "no answer"))
        cast = hospital.cast()
        cast.machines = {"ris": machine} if there else {}
        ending, journal = play(steps, cast=cast)
        return ending, journal, machine, cast

    return run


def test_proven_and_taken_back(disturbed):
    ending, journal, machine, cast = disturbed()
    assert ending.verdict == "passed", ending.message
    assert machine.done == ["kill", "start"]
    (lifted,) = [one for one in journal if one["record"] == "fault" and one["event"] == "lifted"]
    assert [one["what"] for one in lifted["acts"]] == ["evidence of kill"]
    assert "evidence of start" in [one["what"] for one in lifted["back"]]
    assert not cast["ris"].away
    (ledger,) = [one for one in journal if one["record"] == "ledger"]
    assert ledger["unknown"] == 0


def test_without_evidence_nothing_is_proven(disturbed):
    ending, _, machine, _ = disturbed(machine=Machine(refuses="kill"))
    assert ending.verdict == "inconclusive"
    assert "no evidence of kill" in ending.message
    assert machine.done == []


def test_a_case_that_ends_halfway_takes_it_back(disturbed):
    failing = STEPS.replace("accession: $order.accession", "accession: NEVER").replace(
        "within: 1s", "within: 50ms"
    )
    ending, _, machine, cast = disturbed(failing)
    assert ending.verdict == "failed"
    assert machine.done == ["kill", "start"]
    assert not cast["ris"].away


def test_who_does_not_answer_again_breaks_the_case(disturbed):
    ending, _, _, _ = disturbed(mute=["worklist"])
    assert ending.verdict == "broken"
    assert "ris does not answer again at worklist: no answer" in ending.message


def test_a_delay_that_is_never_reached_proves_nothing(disturbed):
    later = STEPS.replace("    as: death", "    with: {delay: 30s}\n    as: death")
    ending, _, machine, _ = disturbed(later)
    assert ending.verdict == "inconclusive"
    assert machine.done == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"there": False}, "process: own"),
        ({"machine": Machine(cannot="no disk of its own")}, "no disk of its own"),
    ],
)
def test_where_it_cannot_be_the_case_is_skipped(disturbed, more, said):
    ending, _, machine, _ = disturbed(**more)
    assert (ending.verdict, machine.done) == ("skipped", [])
    assert said in ending.message


def test_a_system_that_is_away_leaves_acts_unknown_and_only_then(hospital):
    player = hospital.cast()["ehr"]
    player.admin.url = "http://127.0.0.1:9"
    player.away = "pause"
    with pytest.raises(Inconclusive, match="under the fault pause"):
        player.act("register_patient", {}, {"id": "x", "seed": 1})
    player.away, hospital.dead = "", True
    with pytest.raises(Broken):
        player.act("register_patient", {}, {"id": "x", "seed": 1})


def test_every_kind_has_a_way_back_or_is_over_at_once():
    assert [kind for kind, one in KINDS.items() if not one.off] == ["restart"]
