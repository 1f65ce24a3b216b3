"""The ward's books: what the filler says, what reports say, and that nothing goes back."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge import kit
from stepwedge.model.order import Order
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.messages import Item, ReportEvent
from stepwedge.wire.hl7 import HL7Error

kit.load_simulator("ehr")
from stepwedge_simulators.ehr.habits import EhrHabits  # noqa: E402  exists once the simulator is loaded
from stepwedge_simulators.ehr.state import FOLLOWS, REPORTED, Ehr  # noqa: E402

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ANNA = Patient("SW11111111", PersonName("Adams", "Anna"))
BERT = Patient("SW22222222", PersonName("Brown", "Bert"))


def ward():
    books = Ehr(1, "ehr", habits=EhrHabits())
    books.patients[ANNA.id], books.patients[BERT.id] = ANNA, BERT
    books.orders["P1"] = Order("P1", ANNA.id, "CTCHEST")
    return books


@pytest.fixture
def books():
    return ward()


def reply(control="OK", **more):
    return Item(control, placer="P1", filler="F1", accession="SW1", **more)


def test_numbers_come_with_the_reply_or_with_the_first_status(books):
    books.hear(Item("SC", status="SC", placer="P1", filler="F1", accession="SW1"))
    books.hear(reply())
    order = books.orders["P1"]
    assert (order.filler, order.accession, order.status) == ("F1", "SW1", "scheduled")


@pytest.mark.parametrize(("control", "status"), [("CR", "cancelled"), ("UC", "scheduled")])
def test_the_filler_decides_about_a_cancellation(books, control, status):
    books.hear(reply(status="SC"))
    books.hear(reply(control))
    assert books.orders["P1"].status == status


@given(st.lists(st.sampled_from([*REPORTED, "", "ZZ"]), max_size=12))
def test_a_status_never_goes_back(said):
    books = ward()
    for status in said:
        before = books.orders["P1"].status
        books.hear(reply("SC", status=status))
        after = books.orders["P1"].status
        assert after == before or after in FOLLOWS[before]


@pytest.mark.parametrize(
    "item",
    [
        Item("SC", status="CM", placer="P9"),
        Item("SC", status="CM", placer="P1", accession="SW2"),
        Item("SC", filler="F9"),
    ],
)
def test_what_contradicts_what_we_were_told_is_refused(books, item):
    books.hear(reply())
    with pytest.raises(HL7Error) as refused:
        books.hear(item)
    assert refused.value.code == 204
    assert books.orders["P1"].status == "ordered"


def report(letter="F", text="No nodule.", **more):
    return ReportEvent(
        letter, more.pop("accession", "SW1"), text, placer="P1", filler="F1", study="2.25.1", **more
    )


class TestReports:
    @pytest.fixture(autouse=True)
    def told(self, books):
        books.hear(reply())

    def test_preliminary_then_final_then_addendum(self, books):  # RPT-01, RPT-02
        for event in (report("P", "draft"), report(), report("A", addendum="Nodule.")):
            books.receive(event, ANNA, NOW)
        filed = books.reports["F1"]
        assert [version.kind for version in filed.versions] == ["preliminary", "final", "addendum"]
        assert (filed.status, filed.text) == ("final", "No nodule.\nADDENDUM: Nodule.")
        assert books.orders["P1"].study == "2.25.1"

    def test_a_correction_replaces_and_a_retraction_empties_the_chart(self, books):  # RPT-03, RPT-04
        books.receive(report(text="left"), ANNA, NOW)
        books.receive(report("C", "right"), ANNA, NOW)
        assert books.reports["F1"].text == "right"
        books.receive(report("X", ""), ANNA, NOW)
        assert (books.reports["F1"].status, books.reports["F1"].text, len(books.reports["F1"].versions)) == (
            "cancelled",
            "",
            3,
        )

    @given(late=st.lists(st.just("P"), min_size=1, max_size=3))
    def test_a_late_preliminary_never_becomes_what_is_read(self, late):  # IDM-09
        books = ward()
        books.hear(reply())
        books.receive(report(), ANNA, NOW)
        for letter in late:
            books.receive(report(letter, "draft"), ANNA, NOW)
        assert (books.reports["F1"].status, books.reports["F1"].text) == ("final", "No nodule.")

    def test_a_report_of_another_order_or_patient_is_refused(self, books):
        for event, patient, place in ((report(accession="SW2"), ANNA, "OBR-2"), (report(), BERT, "PID-3")):
            with pytest.raises(HL7Error) as refused:
                books.receive(event, patient, NOW)
            assert refused.value.location == place

    def test_reports_and_orders_follow_a_merge(self, books):  # PAT-03
        books.receive(report(), ANNA, NOW)
        books.merge(BERT.id, ANNA.id)
        books.receive(report("A", addendum="Nodule."), ANNA, NOW)
        assert books.orders["P1"].patient == BERT.id
        assert books.reports["F1"].patient == BERT.id
        assert books.survivor(ANNA.id) == BERT.id
