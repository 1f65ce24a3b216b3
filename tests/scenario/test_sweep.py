"""Sweeps: where they cut, how one recovers, and what they come to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from stepwedge import cli
from stepwedge.errors import BadInput, LinkLost, Refused
from stepwedge.report.sweep_places import Cut, Link, base, cuts, listening, shares, swept, thinned
from stepwedge.report.sweep_result import Row, Sweep
from stepwedge.scenario.load import load_scenario
from stepwedge.scenario.variants import cases

ROOT = Path(__file__).parents[2]
HEAD = "scenario: sample\ntitle: A sample\nstory: Nothing much happens.\n"
STEPS = """\
  - {do: ct.fetch_worklist, with: {PatientID: SW1}, as: worklist}
  - {expect: message.received, at: pacs, where: {accession: A1}, within: 1s}
"""
FAULT = "  - fault: {on: ris->pacs, kind: no-answer, door: hl7, times: 3}\n    as: cut\n"
WORKLIST, HL7, WEB = Link("ct->ris", "worklist"), Link("ehr->ris", "hl7"), Link("ct->pacs", "web")
HEARD = [{"request": [10, 30, 30], "answer": [5, 5]}, {"request": [8, 8]}]


def written(steps=STEPS, more=""):
    return yaml.safe_load(HEAD + more + "steps:\n" + steps)


def test_every_connection_is_cut_behind_every_unit_both_ways():
    found = cuts(WORKLIST, HEARD, "unit", each=True)
    assert [(one.connection, one.side, one.units, one.bytes) for one in found] == [
        (1, "request", 0, 0), (1, "request", 0, 1), (1, "request", 1, 0), (1, "request", 1, -1), (1, "request", 2, 0),
        (1, "answer", 0, 0), (1, "answer", 0, 1), (1, "answer", 0, -1), (1, "answer", 1, 0),
        (2, "request", 0, 0), (2, "request", 0, 1), (2, "request", 0, -1), (2, "request", 1, 0),
    ]  # fmt: skip
    assert len({one.id for one in found}) == len(found)


def test_byte_edges_are_before_and_behind_every_unit():
    found = {(one.units, one.bytes) for one in cuts(WORKLIST, HEARD[:1], "byte-edges", each=True)}
    assert {(0, 1), (0, -1), (1, 1), (1, -1)} <= found


def test_pdus_frames_and_streams_without_units():
    assert cuts(WORKLIST, HEARD, "frame", each=True) == cuts(HL7, HEARD, "pdu", each=True) == []
    assert [one.bytes for one in cuts(WEB, [{"request": [0, 100]}], "unit", each=True)] == [0, 1, 50, 99]


def test_without_connections_of_their_own_the_one_that_said_most_counts():
    found = cuts(WORKLIST, HEARD, "unit", each=False)
    assert {one.connection for one in found} == {0}
    assert max(one.units for one in found) == 2


def test_fewer_places_are_spread_evenly():
    places = [Cut(WORKLIST, "request", at) for at in range(10)]
    assert [one.units for one in thinned(places, 5)] == [0, 2, 4, 6, 8]
    assert thinned(places, 20) == places


def test_work_is_shared_in_files_that_the_language_allows():
    places = [Cut(link, "request", at, 0, 1) for link in (WORKLIST, HL7) for at in range(500)]
    shared = shares(places, 2)
    assert sorted(one.id for worker in shared for group in worker for one in group) == sorted(
        one.id for one in places
    )
    assert all(
        len(group) <= 200 and len({one.link for one in group}) == 1 for each in shared for group in each
    )
    assert len(shares(places[:1], 4)) == 1


def test_a_case_without_a_fault_gets_one_that_acts_once(tmp_path, known):
    from stepwedge.scenario.check import check

    scenario = base(written(more="variants: [{id: one, who: SW1}, {id: two, who: SW2}]\n"))
    path = tmp_path / "scenarios/swept.yaml"
    path.parent.mkdir()
    made = swept(scenario, "reset", [Cut(HL7, "answer", 2, -1, 3), Cut(HL7, "request", 0)])
    path.write_text(yaml.safe_dump(made, sort_keys=False))
    assert [one for one in check([path], known) if not one.warning] == []
    file = load_scenario(path)
    fault = file.model.steps[0].fault
    assert (fault.on, fault.door, fault.times, fault.repeat) == ("ehr->ris", "hl7", 1, True)
    assert [one.id for one in cases(file)] == [
        "sample-swept-1[ehr-ris-hl7-c3-answer-2-last]", "sample-swept-1[ehr-ris-hl7-request-0-0]",
    ]  # fmt: skip


def test_a_case_with_a_fault_has_it_moved_and_says_itself_how_to_recover():
    made = swept(base(written(FAULT + STEPS)), "reset", [Cut(Link("ris->pacs", "hl7"), "request", 1)])
    fault = made["steps"][0]["fault"]
    assert fault["times"] == 3
    assert "repeat" not in fault
    assert made["steps"][0]["as"] == "cut"
    assert "cut_connection" not in made["variants"][0]
    heard = listening(base(written(FAULT + STEPS)), [Link("ris->pacs", "hl7")])
    assert [one["fault"]["kind"] for one in heard["steps"] if "fault" in one] == ["latency"]


def test_variants_are_chosen_by_name():
    text = written(more="variants: [{id: one}, {id: two}]\n")
    assert base(text)["variants"] == [{"id": "one"}]
    assert "variants" not in base(written())  # the language wants one at least where the key is
    assert base(text, "two")["variants"] == [{"id": "two"}]
    with pytest.raises(BadInput, match="one, two"):
        base(text, "three")
    with pytest.raises(BadInput, match="one fault step at most"):
        swept(written(FAULT + FAULT + STEPS), "reset", [Cut(HL7, "request", 0)])


# Recovery


class Scanner:
    """Loses the answer of the first acts."""

    def __init__(self, times, trouble=LinkLost):
        self.left, self.trouble, self.cases = times, trouble, []

    def __call__(self, args, case):
        self.cases.append(case)
        if self.left:
            self.left -= 1
            raise self.trouble("gone")
        return {"uid": "1.2", "entries": [], "count": 0}


@pytest.fixture
def cut(hospital, play):
    def run(word, scanner, *, repeat=True):
        hospital.begin_fault = lambda asked: {"fault": 1, "on": asked["on"], "kind": "reset"}
        told = {"on": "", "kind": "", "left": "", "count": 1, "forged": []}
        hospital.lift_fault = lambda number: {"fault": number, **told}
        hospital.words[word] = scanner
        cast = hospital.cast()
        cast.taps = frozenset({("ct", "ris", "worklist")})
        repeating = ", repeat: true" if repeat else ""
        args = {
            "start_exam": "{entry: {}}",
            "fetch_worklist": "{PatientID: SW1}",
            "acquire": "{mpps: {uid: '1'}}",
        }
        steps = (
            f"  - fault: {{on: ct->ris, kind: reset{repeating}}}\n"
            "  - {do: ehr.register_patient, as: patient}\n"
            f"  - {{do: ct.{word}, with: {args[word]}, as: done}}\n"
            "  - {expect: message.received, at: ris, where: {patient: $patient.id}, within: 1s}\n"
        )
        return play(steps, cast=cast)

    return run


@pytest.mark.parametrize(("word", "again"), [("start_exam", True), ("fetch_worklist", False)])
def test_an_act_whose_outcome_nobody_knows_is_repeated_as_its_word_allows(cut, word, again):
    scanner = Scanner(1)
    ending, journal = cut(word, scanner)
    assert ending.verdict == "passed", ending.message
    assert [case["again"] for case in scanner.cases] == [False, again]
    assert [one["repeated"] for one in journal if one["record"] == "step" and word in one["word"]] == [1]


def test_it_is_repeated_so_often_and_no_oftener(cut):
    scanner = Scanner(9)
    ending, _ = cut("start_exam", scanner)
    assert (ending.verdict, len(scanner.cases)) == ("inconclusive", 3)


@pytest.mark.parametrize(
    ("word", "trouble", "repeat", "verdict"),
    [
        ("start_exam", LinkLost, False, "inconclusive"),
        ("start_exam", Refused, True, "failed"),
        ("acquire", LinkLost, True, "inconclusive"),
    ],
    ids=["not asked for", "a no is an answer", "a word that may not"],
)
def test_nothing_else_is_repeated(cut, word, trouble, repeat, verdict):
    scanner = Scanner(1, trouble)
    ending, _ = cut(word, scanner, repeat=repeat)
    assert (ending.verdict, len(scanner.cases)) == (verdict, 1)


# Results


def row(verdict="passed", acted=1):
    return Row("ct->ris worklist", 1, "request", "behind pdu 1", "case", acted, verdict)


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([row()], 0),
        ([row(), row("failed")], 1),
        ([row(), row("inconclusive", 0)], 3),
        ([row(), row(acted=0)], 3),
        ([row(), row("not run", 0)], 3),
        ([row(), row("skipped", 0)], 3),
        ([], 3),
    ],
)
def test_nothing_unknown_becomes_green(rows, code):
    assert Sweep("sample", "reset", "unit", 1, rows).exit == code


# Whole sweeps


def sweep(tmp_path, monkeypatch, *more):
    monkeypatch.chdir(tmp_path)
    scenario, lab = ROOT / "scenarios/routine/ct-order-to-report.yaml", ROOT / "fixtures/labs/faults.yaml"
    done = CliRunner().invoke(cli.app, ["sweep", str(scenario), "--lab", str(lab), *more])
    files = list(tmp_path.glob("runs/sweep-*/sweep.json"))
    return done.exit_code, json.loads(files[0].read_text()) if files else {}, done.output


def test_a_routine_case_recovers_wherever_it_is_cut(tmp_path, monkeypatch):
    """A few of its places; all of them are swept by command."""
    code, said, text = sweep(
        tmp_path, monkeypatch, "--link", "ct->ris", "--link", "ct->pacs", "-n", "1", "--most", "6"
    )
    assert code == 0, text
    assert [(one["verdict"], one["acted"]) for one in said["rows"]] == [("passed", 1)] * 6
    assert any(one["repeated"] for one in said["rows"])
    assert said["left_out"] > 0
    assert said["silent"]["ehr->ris hl7"] == "not asked for"
    assert (tmp_path / "runs/latest/sweep.html").read_text().count("<td>behind") > 0


def test_an_archive_that_loses_what_comes_twice_is_caught(tmp_path, monkeypatch):
    told = ["--link", "ct->pacs", "--quirk", "store.resend_deletes", "-n", "1", "--most", "4"]
    code, said, text = sweep(tmp_path, monkeypatch, *told)
    assert code == 1, text
    assert any(one["verdict"] == "failed" and one["why"] for one in said["rows"])


def test_a_receiver_that_counts_what_comes_twice_is_caught(tmp_path, monkeypatch):
    told = ["--link", "reader->ris", "--quirk", "ack.repeats_taken_again", "-n", "1", "--most", "5"]
    code, said, text = sweep(tmp_path, monkeypatch, *told)
    assert code == 1, text
    assert any("INV-12" in one["wrong"] for one in said["rows"])


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--fault", "rest"], "one of"),
        (["--every", "day"], "one of unit"),
        (["--variant", "none"], "one of routine"),
    ],
)
def test_what_cannot_be_swept_is_bad_input(tmp_path, monkeypatch, more, text):
    code, _, said = sweep(tmp_path, monkeypatch, *more)
    assert code == 2
    assert text in said
