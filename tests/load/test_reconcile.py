"""Reconciliation: systems that lie about what they keep are found out, promise by promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from stepwedge.errors import LinkLost
from stepwedge.load import reading, reconcile
from stepwedge.load.ledger import Account, Ledger
from stepwedge.load.reconcile import ImageSeen, OrderSeen, ReportSeen, Shown, StudySeen


def honest() -> Shown:
    """Return what honest systems show of the three exams of the run made by hand."""
    exams = range(3)
    return Shown(
        studies={f"SW{n}": [StudySeen(f"1.{n}", f"SW{n}", f"A{n}")] for n in exams},
        listed={f"1.{n}": Counter({f"1.{n}.1": 1, f"1.{n}.2": 1}) for n in exams},
        opened={
            f"1.{n}": {
                f"1.{n}.1": [ImageSeen("aa", f"SW{n}", f"A{n}")],
                f"1.{n}.2": [ImageSeen("bb", f"SW{n}", f"A{n}")],
            }
            for n in exams
        },
        orders={f"P{n}": [OrderSeen(f"P{n}", f"A{n}", f"SW{n}")] for n in exams},
        reports={f"A{n}": [ReportSeen(f"A{n}", f"SW{n}", f"Report {n}.", "final")] for n in exams},
        performed={f"2.{n}": ["COMPLETED"] for n in exams},
        doors={"study": "QIDO-RS and WADO-RS"},
    )


@pytest.fixture
def account(made) -> Account:
    made.ledger()
    return Account.read(made.folder / "ledger")


def test_honest_systems_keep_every_promise(account):
    said = reconcile.reconcile(account, honest())
    assert said.findings == []
    assert said.word == "met"
    assert said.sentence == (
        "nothing lost, doubled, altered or mixed up: "
        "6 images, 3 studies, 3 orders, 3 reports, 3 performed steps"
    )
    assert {"I1", "I2", "I5", "I6", "I7"} <= set(said.compared)
    assert said.counts["instance"] == {
        "attempted": 6,
        "acknowledged": 6,
        "refused": 0,
        "unknown": 0,
        "arrived": 0,
    }


def lose_image(shown):
    del shown.listed["1.1"]["1.1.2"], shown.opened["1.1"]["1.1.2"]


def lose_study(shown):
    shown.studies["SW1"] = []


def lose_order(shown):
    shown.orders["P1"] = []


def lose_report(shown):
    shown.reports["A1"] = []


def lose_step(shown):
    shown.performed["2.1"] = []


def list_and_not_open(shown):
    del shown.opened["1.1"]["1.1.2"]


def open_and_not_list(shown):
    del shown.listed["1.1"]["1.1.2"]


def invent_image(shown):
    shown.listed["1.1"]["1.1.9"] = 1


def invent_study(shown):
    shown.studies["SW1"].append(StudySeen("9.9", "SW1", "A1"))


def double_listing(shown):
    shown.listed["1.1"]["1.1.1"] = 2


def double_retrieval(shown):
    shown.opened["1.1"]["1.1.1"] *= 2


def double_study(shown):
    shown.studies["SW1"] *= 2


def double_order(shown):
    shown.orders["P1"] *= 2


def double_report(shown):
    shown.reports["A1"] *= 2


def alter_pixels(shown):
    shown.opened["1.1"]["1.1.1"] = [ImageSeen("cc", "SW1", "A1")]


def alter_report(shown):
    shown.reports["A1"] = [ReportSeen("A1", "SW1", "Something else.", "final")]


def other_patient(shown):
    shown.studies["SW1"] = [StudySeen("1.1", "SW2", "A1")]


def other_accession(shown):
    shown.studies["SW1"] = [StudySeen("1.1", "SW1", "A2")]


def other_patient_in_header(shown):
    shown.opened["1.1"]["1.1.1"] = [ImageSeen("aa", "SW2", "A1")]


def swapped_reports(shown):
    shown.reports["A1"] = [ReportSeen("A1", "SW2", "Report 1.", "final")]


def order_of_another(shown):
    shown.orders["P1"] = [OrderSeen("P1", "A1", "SW0")]


def still_in_progress(shown):
    shown.performed["2.1"] = ["IN PROGRESS"]


@pytest.mark.parametrize(
    ("lie", "promise", "kind"),
    [
        (lose_image, "I1", "instance"),
        (lose_study, "I1", "study"),
        (lose_order, "I1", "order"),
        (lose_report, "I1", "report"),
        (lose_step, "I1", "mpps"),
        (list_and_not_open, "I1", "instance"),
        (open_and_not_list, "I1", "instance"),
        (invent_image, "I2", "instance"),
        (invent_study, "I2", "study"),
        (double_listing, "I5", "instance"),
        (double_retrieval, "I5", "instance"),
        (double_study, "I5", "study"),
        (double_order, "I5", "order"),
        (double_report, "I5", "report"),
        (alter_pixels, "I6", "instance"),
        (alter_report, "I6", "report"),
        (other_patient, "I7", "study"),
        (other_accession, "I7", "study"),
        (other_patient_in_header, "I7", "instance"),
        (swapped_reports, "I7", "report"),
        (order_of_another, "I7", "order"),
        (still_in_progress, "I7", "mpps"),
    ],
)
def test_a_lie_breaks_its_promise(account, lie, promise, kind):
    shown = honest()
    lie(shown)
    said = reconcile.reconcile(account, shown)
    assert (promise, kind) in {(one.promise, one.kind) for one in said.broken}
    assert said.word == "missed"
    assert f"1 {reconcile.NOUNS[kind]} {reconcile.BROKEN[promise]}" in said.sentence


def test_an_accession_number_given_twice_is_doubled(made):
    made.ledger()
    book = Ledger(made.folder / "ledger", "here-2")
    book.write("order", "P9", "attempted", patient="SW9", accession="A1")
    book.write("order", "P9", "acknowledged")
    book.close()
    shown = honest()
    shown.orders["P9"] = [OrderSeen("P9", "A1", "SW9")]
    said = reconcile.reconcile(Account.read(made.folder / "ledger"), shown)
    assert [(one.promise, one.id) for one in said.broken] == [("I5", "A1")]


def state(account, kind, identity, word):
    account.entries[kind][identity] = replace(account.entries[kind][identity], state=word)


@pytest.mark.parametrize(("kind", "identity"), [("instance", "1.1.2"), ("order", "P1"), ("report", "A1#F")])
def test_what_was_refused_and_is_there_breaks_i3(account, kind, identity):
    state(account, kind, identity, "refused")
    said = reconcile.reconcile(account, honest())
    assert {(one.promise, one.kind) for one in said.broken} == {("I3", kind)}


def test_what_nobody_answered_is_there_whole_or_not_at_all(account):
    state(account, "instance", "1.1.2", "attempted")
    there = reconcile.reconcile(account, honest())
    assert there.word == "untold"
    assert "1 image got no answer to the end: 1.1.2" in there.findings[0].said
    assert there.counts["instance"]["arrived"] == 1
    shown = honest()
    lose_image(shown)
    assert reconcile.reconcile(account, shown).word == "untold"
    shown = honest()
    list_and_not_open(shown)
    assert {one.promise for one in reconcile.reconcile(account, shown).broken} == {"I4"}
    shown = honest()
    shown.opened["1.1"]["1.1.2"] = [ImageSeen("half", "SW1", "A1")]
    assert {one.promise for one in reconcile.reconcile(account, shown).broken} == {"I6"}


def test_a_study_that_went_out_in_part_is_untold(account):
    state(account, "study", "1.1", "attempted")
    state(account, "instance", "1.1.2", "refused")
    shown = honest()
    lose_image(shown)
    (finding,) = reconcile.reconcile(account, shown).findings
    assert finding.untold
    assert finding.said == "1 study went out in part: 1.1 (1 of 2)"


@pytest.mark.parametrize(("again", "word"), [({}, "untold"), ({"again": "9.2"}, "met")])
def test_a_commitment_without_an_answer_is_untold_until_it_was_asked_for_again(account, made, again, word):
    del account
    book = Ledger(made.folder / "ledger", "here-4")
    book.write("commitment", "9.1", "attempted", study="1.1", **again)
    book.write("commitment", "9.2", "attempted", study="1.1")
    book.write("commitment", "9.2", "acknowledged")
    book.close()
    assert reconcile.reconcile(Account.read(made.folder / "ledger"), honest()).word == word


def merge(made, state="acknowledged"):
    book = Ledger(made.folder / "ledger", "here-3")
    book.write("merge", "SW1>SW7@pacs", "attempted", prior="SW1", survivor="SW7")
    if state != "attempted":
        book.write("merge", "SW1>SW7@pacs", state)
    book.close()
    return Account.read(made.folder / "ledger")


def moved() -> Shown:
    shown = honest()
    shown.studies["SW1"], shown.studies["SW7"] = [], [StudySeen("1.1", "SW7", "A1")]
    shown.opened["1.1"] = {
        sop: [replace(one, patient="SW7") for one in seen] for sop, seen in shown.opened["1.1"].items()
    }
    shown.orders["P1"] = [OrderSeen("P1", "A1", "SW7")]
    shown.reports["A1"] = [ReportSeen("A1", "SW7", "Report 1.", "final")]
    return shown


def test_after_a_merge_everything_belongs_to_the_survivor(made, account):
    del account
    merged = merge(made)
    assert reconcile.reconcile(merged, moved()).findings == []
    left = reconcile.reconcile(merged, honest())
    assert {one.promise for one in left.broken} == {"I7"}


def test_a_merge_that_nobody_answered_may_have_happened(made, account):
    del account
    merged = merge(made, "attempted")
    for shown in (moved(), honest()):
        said = reconcile.reconcile(merged, shown)
        assert (said.broken, said.word) == ([], "untold")


def test_what_cannot_be_read_is_untold(account):
    shown = honest()
    del shown.listed["1.1"], shown.opened["1.1"]
    shown.trouble["study", "1.1"] = "the connection was lost"
    said = reconcile.reconcile(account, shown)
    assert said.word == "untold"
    assert "could not be read: the connection was lost" in said.sentence


def test_a_torn_ledger_is_untold(made, account):
    del account
    with (made.folder / "ledger" / "ledger-here-1.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "instance", "id"')
    assert reconcile.reconcile(Account.read(made.folder / "ledger"), honest()).word == "untold"


def test_nothing_acknowledged_is_untold():
    said = reconcile.reconcile(Account(), Shown())
    assert said.word == "untold"
    assert said.sentence == "nothing was acknowledged that could be looked for"


def test_what_has_no_door_is_left_out_and_said(account):
    shown = honest()
    shown.reports, shown.left_out = {}, {"report": "the EHR has no FHIR door"}
    said = reconcile.reconcile(account, shown)
    assert said.word == "met"
    assert said.to_json()["left_out"] == {"report": "the EHR has no FHIR door"}


def test_findings_are_counted_whole_and_shown_in_part(account):
    shown = honest()
    for n in range(80):
        shown.listed["1.1"][f"8.{n}"] = 1
    told = reconcile.reconcile(account, shown).to_json()
    assert told["found"] == {"I2": 80}
    assert len(told["findings"]) == reconcile.SHOWN


class Door:
    """An archive's door that answers by hand, and loses the connection for one study."""

    name = "QIDO-RS and WADO-RS"

    def __init__(self, lost: str = "") -> None:
        self.lost = lost

    def studies(self, patient):
        return [
            {
                "StudyInstanceUID": f"1.{patient[2:]}",
                "PatientID": patient,
                "AccessionNumber": f"A{patient[2:]}",
            }
        ]

    def instances(self, study):
        if study == self.lost:
            raise LinkLost("the connection was lost")
        return [{"SOPInstanceUID": f"{study}.1"}, {"SOPInstanceUID": f"{study}.2"}]

    def open(self, study):
        number = study[2:]
        header = {"PatientID": f"SW{number}", "AccessionNumber": f"A{number}"}
        return [
            reading.asking.Retrieved(f"{study}.{n}", header, digest) for n, digest in ((1, "aa"), (2, "bb"))
        ]


class Alone:
    """A lab with an archive alone."""

    patience = 1.0

    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(("lost", "word"), [("", "met"), ("1.1", "untold")])
def test_reading_back_goes_on_when_one_study_cannot_be_read(made, account, monkeypatch, lost, word):
    door = Door(lost)
    monkeypatch.setattr(reading._Reader, "_archive", lambda _self, _door: door)
    shown = reading.read(account, Alone(), made.plan)
    assert set(shown.left_out) == {"order", "report", "mpps"}
    assert shown.doors["study"] == door.name
    said = reconcile.reconcile(account, shown)
    assert said.word == word
    assert said.opened == (6 if not lost else 4)


def test_only_as_many_studies_are_opened_as_time_allows(made, account, monkeypatch):
    monkeypatch.setattr(reading._Reader, "_archive", lambda _self, _door: Door())
    shown = reading.read(account, Alone(), made.plan, opening=0.0)
    assert shown.opened == {}
    assert len(shown.listed) == 3
