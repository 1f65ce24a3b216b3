"""Faults in scenarios: what is wrong with them is told at once, and one that did not act proves nothing."""

from __future__ import annotations

import pytest

from stepwedge.scenario.alone import disturbs
from stepwedge.scenario.load import load_scenario
from stepwedge.scenario.variants import cases

HEAD = "scenario: sample\ntitle: A sample\nstory: Nothing much happens.\n"
STEPS = """\
  - {given: ehr.register_patient, as: patient}
  - fault: {on: ris->pacs, kind: reset, door: hl7}
    as: cut
  - {do: ehr.place_order, with: {patient: $patient, procedure: CTCHEST}, as: order}
  - {expect: message.received, at: pacs, where: {accession: $order.accession}, within: 1s}
  - {lift: $cut}
"""


class Taps:
    """What the engine calls for faults."""

    def __init__(self, count=1, left=""):
        self.asked, self.lifted = [], []
        self.count, self.left = count, left

    def begin_fault(self, asked):
        self.asked.append(asked)
        return self.told(len(self.asked))

    def lift_fault(self, number):
        self.lifted.append(number)
        return self.told(number)

    def told(self, number):
        return {
            "fault": number, "on": "ris->pacs", "kind": "reset", "case": "sample", "began": 1.0, "ended": 2.0,
            "left": self.left, "count": self.count, "acts": [], "side": "request", "forged": ["C1"],
        }  # fmt: skip


@pytest.fixture
def faulty(hospital, play):
    def run(steps=STEPS, taps=None, edges=(("ris", "pacs", "hl7"),)):
        taps = taps or Taps()
        hospital.begin_fault, hospital.lift_fault = taps.begin_fault, taps.lift_fault
        cast = hospital.cast()
        cast.taps = frozenset(edges)
        ending, journal = play(steps, cast=cast)
        return ending, journal, taps

    return run


def test_begun_and_lifted_with_proof(faulty):
    ending, journal, taps = faulty()
    assert ending.verdict == "passed"
    assert taps.asked[0]["on"] == "ris->pacs"
    assert taps.asked[0]["door"] == "hl7"
    assert taps.lifted == [1]
    assert [one["event"] for one in journal if one["record"] == "fault"] == ["began", "lifted"]


def test_what_never_acted_is_inconclusive(faulty):
    ending, _, _ = faulty(taps=Taps(count=0))
    assert ending.verdict == "inconclusive"
    assert "the fault did not act" in ending.message


def test_the_end_of_a_case_lifts_what_is_on_and_judges_it(faulty):
    ending, _, taps = faulty(
        STEPS.replace("  - {lift: $cut}\n", "").replace("    as: cut\n", ""), Taps(count=0)
    )
    assert ending.verdict == "inconclusive"
    assert taps.lifted == [1]


def test_a_case_that_breaks_lifts_its_fault(faulty, hospital):
    def breaks(args, case):
        raise RuntimeError("boom")

    hospital.words["place_order"] = breaks
    ending, _, taps = faulty()
    assert ending.verdict == "broken"
    assert taps.lifted == [1]


def test_what_stays_is_broken(faulty):
    ending, _, _ = faulty(taps=Taps(left="2 connections"))
    assert ending.verdict == "broken"
    assert "2 connections" in ending.message


def test_without_a_tap_the_case_is_skipped_with_the_reason(faulty):
    ending, _, taps = faulty(edges=())
    assert (ending.verdict, taps.asked) == ("skipped", [])
    assert "no tap on ris->pacs hl7 in this lab" in ending.message


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("kind: reset", "kind: rest"), "did you mean 'reset'"),
        (("on: ris->pacs", "on: ris->pax"), "an actor"),
        (("on: ris->pacs", "on: ris-"), "a link such as ris->pacs, or a whole system such as pacs"),
        (("on: ris->pacs", "on: ris"), "it befalls a link: write on: caller->callee"),
        (("kind: reset, door: hl7", "kind: kill"), "an actor, because kill befalls a whole system"),
        (("on: ris->pacs, kind: reset", "on: ris, kind: kill"), "nothing: it belongs to a link"),
        (("on: ris->pacs, kind: reset, door: hl7", "on: ris, kind: kil"), "did you mean 'kill'"),
        (("door: hl7", "door: hl8"), "did you mean 'hl7'"),
        (("door: hl7", "side: requests"), "did you mean 'request'"),
        (("door: hl7", "door: hl7, after: {pdu: 1}"), "PDUs are DICOM's"),
        (("door: hl7", "dor: hl7"), "did you mean 'door'"),
        (("    as: cut", "    with: {delay: 1s}\n    as: cut"), "nothing with reset"),
        (("kind: reset, door: hl7}", "kind: latency}\n    with: {delay: fast}"), "a duration such as"),
        (("kind: reset, door: hl7}", "kind: nak}\n    with: {code: AB}"), "one of AE, AR, CE, CR"),
        (("{lift: $cut}", "{lift: $cup}"), "did you mean 'cut'"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path, known, change, text):
    from stepwedge.scenario.check import check

    path = tmp_path / "scenarios/sample.yaml"
    path.parent.mkdir()
    path.write_text(HEAD + "steps:\n" + STEPS.replace(*change))
    problems = [str(one) for one in check([path], known) if not one.warning]
    assert any(text in one and f"{path}:" in one for one in problems), problems


def test_a_case_with_a_fault_disturbs_others(tmp_path, hospital):
    path = tmp_path / "sample.yaml"
    path.write_text(HEAD + "steps:\n" + STEPS)
    assert disturbs(cases(load_scenario(path))[0], hospital.cast())
    calm = "".join(
        line for line in STEPS.splitlines(keepends=True) if not any(w in line for w in ("fault", "cut"))
    )
    path.write_text(HEAD + "steps:\n" + calm)
    assert not disturbs(cases(load_scenario(path))[0], hospital.cast())
