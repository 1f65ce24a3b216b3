"""The order filler's books: life cycles, merges, reports, exceptions."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge import kit
from stepwedge.model.lifecycles import ORDER, STEP, IllegalTransition
from stepwedge.model.patient import Patient, PersonName
from stepwedge.model.procedure import PerformedStep, catalogue
from stepwedge.sim.messages import Item, ReportEvent
from stepwedge.wire.hl7 import HL7Error

ris = kit.load_simulator("ris")
from stepwedge_simulators.ris.habits import RisHabits  # noqa: E402  exists once the simulator is loaded
from stepwedge_simulators.ris.notices import ToArchive, ToPlacer, ToReader  # noqa: E402
from stepwedge_simulators.ris.progress import perform  # noqa: E402
from stepwedge_simulators.ris.reports import file_report  # noqa: E402
from stepwedge_simulators.ris.state import Ris  # noqa: E402

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ANNA = Patient("SW11111111", PersonName("Adams", "Anna"), "19700101", "F")
BERT = Patient("SW22222222", PersonName("Brown", "Bert"), "19600101", "M")
PROCEDURES = catalogue(Path(kit.find("fixtures/procedures/catalogue.yaml")))


@pytest.fixture
def books():
    return new_books()


def new_books():
    made = Ris(4171, "ris", procedures=PROCEDURES, habits=RisHabits())
    made.admit(ANNA)
    made.admit(BERT)
    return made


def order_item(placer="P1", procedure="CTCHEST", **more):
    return Item("NW", placer=placer, procedure=procedure, **more)


def placed(books, placer="P1", patient=ANNA, procedure="CTCHEST", **more):
    order, _ = books.place(order_item(placer, procedure, **more), patient, "2.5.1", NOW)
    books.schedule(order, NOW)
    return books.orders[placer]


def performed(uid, *steps, patient=ANNA.id, status="IN PROGRESS"):
    return PerformedStep(uid, status, "SW_CT1", patient, steps=tuple(step.id for step in steps))


def told(notices):
    return [(type(n).__name__, n.control, n.status) for n in notices if isinstance(n, ToArchive | ToPlacer)]


class TestOrders:
    def test_an_order_gets_its_numbers_and_its_steps(self, books):
        order, new = books.place(order_item(priority="S", reason="cough"), ANNA, "2.5.1", NOW)
        notices = books.schedule(order, NOW)
        order = books.orders["P1"]
        (step,) = books.steps_of(order)
        assert new
        assert (order.status, order.priority, order.patient) == ("scheduled", "stat", ANNA.id)
        assert order.accession.startswith("SW")
        assert len(order.accession) <= 16
        assert (step.station, step.start[:8], step.accession) == ("SW_CT1", "20261124", order.accession)
        assert told(notices) == [("ToArchive", "NW", "SC"), ("ToPlacer", "SC", "SC")]

    def test_two_steps_are_one_study(self, books):
        order = placed(books, procedure="CTABD2")
        assert [step.code for step in books.steps_of(order)] == ["CTABDN", "CTABDC"]
        assert len({step.requested for step in books.steps_of(order)}) == 1

    def test_the_same_order_again_is_answered_as_the_first_time(self, books):  # IDM-02
        order = placed(books)
        again, new = books.place(order_item(), ANNA, "2.5.1", NOW)
        assert (again, new) == (order, False)
        assert len(books.orders) == 1

    def test_numbers_depend_on_the_seed_and_nothing_else(self):
        assert placed(new_books()).accession == placed(new_books()).accession

    def test_what_is_ordered_at_midnight_is_done_today(self, books):
        late = NOW.replace(hour=23, minute=58)
        order, _ = books.place(order_item(procedure="CTABD2"), ANNA, "2.5.1", late)
        books.schedule(order, late)
        assert {step.start[:8] for step in books.steps_of(books.orders["P1"])} == {"20261124"}

    @pytest.mark.parametrize(
        ("item", "code", "place"),
        [
            (Item("NW", procedure="CTCHEST"), 101, "ORC-2"),
            (Item("NW", placer="P9", procedure="XRAY"), 103, "OBR-4"),
            (Item("NW", placer="P9", procedure="CTCHEST", priority="Z"), 103, "TQ1-9"),
        ],
    )
    def test_an_order_that_cannot_be_taken_says_why(self, books, item, code, place):
        with pytest.raises(HL7Error) as refused:
            books.place(item, ANNA, "2.5.1", NOW)
        assert (refused.value.code, refused.value.location) == (code, place)

    def test_a_change_leaves_what_it_does_not_mention(self, books):  # SCH-10
        placed(books, alerts="pacemaker", reason="cough")
        order, done, notices = books.change(Item("XO", placer="P1", priority="S"), ANNA)
        assert done
        assert (order.priority, order.alerts, order.reason) == ("stat", "pacemaker", "cough")
        assert told(notices) == [("ToArchive", "XO", "SC")]
        order, _, _ = books.change(Item("XO", placer="P1", alerts=""), ANNA)
        assert (order.priority, order.alerts) == ("stat", "")


class TestCancel:
    def test_a_scheduled_order_leaves_the_books_of_all(self, books):  # CAN-02
        placed(books)
        order, done, notices = books.cancel(Item("CA", placer="P1", why="refused"), ANNA)
        assert (done, order.status, order.why) == (True, "cancelled", "refused")
        assert [step.status for step in books.steps_of(order)] == ["CANCELED"]
        assert told(notices) == [("ToArchive", "CA", "CA")]

    def test_an_unscheduled_order_is_cancelled_without_telling_the_archive(self, books):  # CAN-01
        books.place(order_item(), ANNA, "2.5.1", NOW)
        _, done, notices = books.cancel(Item("CA", placer="P1"), ANNA)
        assert (done, notices) == (True, [])

    def test_a_second_cancel_changes_nothing(self, books):  # CAN-08
        placed(books)
        books.cancel(Item("CA", placer="P1"), ANNA)
        assert books.cancel(Item("CA", placer="P1"), ANNA)[1:] == (True, [])

    def test_an_exam_under_way_cannot_be_cancelled(self, books):  # CAN-03
        order = placed(books)
        perform(books, performed("1.2", *books.steps_of(order)), "start", NOW)
        order, done, notices = books.cancel(Item("CA", placer="P1"), ANNA)
        assert (done, order.status, notices) == (False, "in progress", [])

    def test_what_is_not_known_or_of_another_patient_is_refused(self, books):
        placed(books)
        for item, patient, place in (
            (Item("CA", placer="P9", filler="F9"), ANNA, "ORC-2"),
            (Item("CA", placer="P1"), BERT, "PID-3"),
        ):
            with pytest.raises(HL7Error) as refused:
                books.cancel(item, patient)
            assert (refused.value.code, refused.value.location) == (204, place)

    def test_the_department_cancels(self, books):  # CAN-04
        notices = books.withdraw(placed(books), "scanner down")
        assert told(notices) == [("ToArchive", "CA", "CA"), ("ToPlacer", "OC", "CA")]
        assert notices[-1].order.why == "scanner down"

    def test_a_stale_scan_is_recorded_and_listed(self, books):
        order = placed(books)
        steps = books.steps_of(order)
        books.cancel(Item("CA", placer="P1"), ANNA)
        assert perform(books, performed("1.2", *steps), "start", NOW) == []
        perform(books, performed("1.2", *steps, status="DISCONTINUED"), "discontinue", NOW)
        assert books.orders["P1"].status == "cancelled"
        assert books.steps[steps[0].id].status == "DISCONTINUED"
        assert [oddity.kind for oddity in books.oddities.values()] == ["cancelled exam"]


class TestReschedule:
    def test_every_number_stays(self, books):  # SCH-02, SCH-03
        order = placed(books)
        (before,) = books.steps_of(order)
        notices = books.reschedule(order, days=3, station="SW_CT2")
        (after,) = books.steps_of(books.orders["P1"])
        assert (after.id, after.accession, after.requested) == (before.id, before.accession, before.requested)
        assert (after.station, after.start[:8], after.start[8:]) == ("SW_CT2", "20261127", before.start[8:])
        assert told(notices) == [("ToArchive", "XO", "SC")]

    def test_steps_keep_their_distance(self, books):
        order = placed(books, procedure="CTABD2")
        books.reschedule(order, start=datetime(2026, 12, 1, 8, 0, tzinfo=UTC))
        starts = [step.start for step in books.steps_of(books.orders["P1"])]
        assert starts == ["20261201080000", "20261201082000"]


class TestPerformed:
    def test_the_order_is_done_when_both_steps_are(self, books):  # RTN-07
        order = placed(books, procedure="CTABD2")
        first, second = books.steps_of(order)
        assert told(perform(books, performed("1.1", first), "start", NOW)) == [("ToPlacer", "SC", "IP")]
        assert perform(books, performed("1.1", first, status="COMPLETED"), "complete", NOW) == []
        assert books.orders["P1"].status == "in progress"
        assert perform(books, performed("1.2", second), "start", NOW) == []
        done = perform(books, performed("1.2", second, status="COMPLETED"), "complete", NOW)
        assert told(done) == [("ToPlacer", "SC", "CM")]

    def test_a_discontinued_exam_discontinues_its_order(self, books):
        (step,) = books.steps_of(placed(books))
        perform(books, performed("1.1", step), "start", NOW)
        told_ = told(perform(books, performed("1.1", step, status="DISCONTINUED"), "discontinue", NOW))
        assert told_ == [("ToPlacer", "SC", "DC")]

    def test_a_step_is_done_when_all_that_perform_it_are(self, books):
        (step,) = books.steps_of(placed(books))
        perform(books, performed("1.1", step), "start", NOW)
        perform(books, performed("1.2", step), "start", NOW)
        assert perform(books, performed("1.1", step, status="COMPLETED"), "complete", NOW) == []
        assert told(perform(books, performed("1.2", step, status="COMPLETED"), "complete", NOW)) == [
            ("ToPlacer", "SC", "CM")
        ]

    @pytest.mark.parametrize(
        ("steps", "patient", "kind"), [(0, ANNA, "unscheduled exam"), (1, BERT, "wrong patient")]
    )
    def test_what_fits_no_order_is_listed(self, books, steps, patient, kind):
        known = books.steps_of(placed(books))[:steps]
        perform(books, performed("1.1", *known, patient=patient.id), "start", NOW)
        assert [oddity.kind for oddity in books.oddities.values()] == [kind]


class TestMerge:
    def test_everything_moves_to_the_survivor(self, books):  # PAT-03, PAT-07
        order = placed(books, patient=BERT)
        perform(books, performed("1.1", *books.steps_of(order), patient=BERT.id), "start", NOW)
        file_report(books, report(order), BERT, NOW)
        books.merge(ANNA, BERT.id)
        assert books.orders["P1"].patient == ANNA.id
        assert books.performed["1.1"].patient == ANNA.id
        assert [each.patient for each in books.reports.values()] == [ANNA.id]
        assert books.survivor(BERT.id) == ANNA.id
        assert not books.oddities

    def test_an_order_for_the_merged_record_is_the_survivors(self, books):
        books.merge(ANNA, BERT.id)
        assert placed(books, patient=BERT).patient == ANNA.id

    def test_an_unknown_survivor_makes_it_a_change_of_identifier(self, books):  # PAT-04 a
        placed(books)
        books.merge(Patient("SW33333333", PersonName("Adams", "Anna")), ANNA.id)
        assert books.orders["P1"].patient == "SW33333333"

    def test_an_unknown_or_repeated_prior_is_nothing_to_do(self, books):  # PAT-04 b, PAT-08
        books.merge(ANNA, "SW99999999")
        books.merge(ANNA, BERT.id)
        books.keep()
        books.merge(ANNA, BERT.id)
        assert list(books.changed()) == []
        assert "SW99999999" not in books.patients

    def test_self_and_circular_merges_are_refused(self, books):  # PAT-08
        books.merge(ANNA, BERT.id)
        for survivor, prior in ((ANNA, ANNA.id), (BERT, ANNA.id), (Patient("SW3", PersonName("C")), BERT.id)):
            with pytest.raises(HL7Error):
                books.merge(survivor, prior)
        assert books.survivor(BERT.id) == ANNA.id
        assert books.patients[ANNA.id].merged_into == ""

    def test_a_late_update_of_the_merged_record_is_refused(self, books):  # PAT-09
        books.merge(ANNA, BERT.id)
        with pytest.raises(HL7Error):
            books.admit(BERT)


def report(order, letter="F", text="No nodule.", **more):
    return ReportEvent(letter, order.accession, text, **more)


class TestReports:
    def test_a_report_goes_on_with_the_numbers_of_its_order(self, books):
        order = placed(books)
        (notice,) = file_report(books, report(order, placer="", study="9.9"), ANNA, NOW)
        assert isinstance(notice, ToReader)
        assert (notice.event.accession, notice.event.placer, notice.event.filler, notice.event.study) == (
            order.accession,
            "P1",
            order.filler,
            order.study,
        )

    def test_a_late_preliminary_is_kept_and_not_sent(self, books):  # IDM-09
        order = placed(books)
        file_report(books, report(order, "F"), ANNA, NOW)
        assert file_report(books, report(order, "P", "draft"), ANNA, NOW) == []
        kept = books.reports[order.filler]
        assert (kept.status, kept.text, len(kept.versions)) == ("final", "No nodule.", 2)

    def test_an_addendum_keeps_what_was_signed(self, books):  # RPT-02
        order = placed(books)
        file_report(books, report(order), ANNA, NOW)
        file_report(books, report(order, "A", addendum="Nodule."), ANNA, NOW)
        kept = books.reports[order.filler]
        assert (kept.status, kept.text) == ("final", "No nodule.\nADDENDUM: Nodule.")
        assert [version.kind for version in kept.versions] == ["final", "addendum"]

    def test_what_belongs_to_no_order_of_this_patient_is_refused(self, books):  # RPT-07
        order, other = placed(books), placed(books, "P2")
        cancelled = placed(books, "P3")
        books.cancel(Item("CA", placer="P3"), ANNA)
        wrong = [
            (report(order), BERT, "PID-3"),
            (ReportEvent("F", "SW000"), ANNA, "OBR-18"),
            (report(order, filler=other.filler), ANNA, "OBR-18"),
            (report(cancelled), ANNA, "OBR-18"),
            (report(order, "C"), ANNA, "OBR-25"),
        ]
        for event, patient, place in wrong:
            with pytest.raises(HL7Error) as refused:
                file_report(books, event, patient, NOW)
            assert refused.value.location == place
        assert not books.reports


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "place",
                "cancel",
                "withdraw",
                "move",
                "start",
                "complete",
                "discontinue",
                "merge",
                "report",
                "change",
            ]
        ),
        st.integers(0, 2),
        st.integers(0, 1),
    ),
    max_size=25,
)


def happen(books, what, number, which):
    """Let one event happen, legal or not; what is refused has changed nothing."""
    placer = f"P{number}"
    patient = (ANNA, BERT)[which]
    order = books.orders.get(placer)
    match what:
        case "place":
            made, new = books.place(order_item(placer, ("CTCHEST", "CTABD2")[which]), patient, "2.5.1", NOW)
            if new:
                books.schedule(made, NOW)
        case "cancel":
            books.cancel(Item("CA", placer=placer), books.patients[order.patient] if order else patient)
        case "change":
            books.change(
                Item("XO", placer=placer, priority="S"), books.patients[order.patient] if order else patient
            )
        case "merge":
            books.merge(ANNA, BERT.id)
        case _ if order is None:
            return
        case "withdraw":
            books.withdraw(order, "why")
        case "move":
            books.reschedule(order, days=1)
        case "report":
            file_report(books, report(order, "PFCA"[number]), books.patients[order.patient], NOW)
        case _:
            step = books.steps_of(order)[-which]
            status = {"start": "IN PROGRESS", "complete": "COMPLETED", "discontinue": "DISCONTINUED"}[what]
            perform(
                books, performed(f"1.{step.id[3:]}", step, patient=order.patient, status=status), what, NOW
            )


@given(EVENTS)
def test_whatever_happens_the_books_are_in_order(events):
    books = new_books()
    for what, number, which in events:
        before = {placer: order.status for placer, order in books.orders.items()}
        steps_before = {key: step.status for key, step in books.steps.items()}
        books.keep()
        try:
            happen(books, what, number, which)
        except (HL7Error, IllegalTransition):
            books.rollback()
        for placer, order in books.orders.items():
            old = before.get(placer)
            assert old is None or order.status == old or order.status in ORDER[old].values()
            assert books.survivor(order.patient) == order.patient
            if order.status == "cancelled":
                assert all(step.status != "SCHEDULED" for step in books.steps_of(order))
            if order.status == "completed":
                assert all(step.status != "SCHEDULED" for step in books.steps_of(order))
        for key, step in books.steps.items():
            old = steps_before.get(key)
            assert old is None or step.status == old or step.status in STEP[old].values()
        accessions = [order.accession for order in books.orders.values()]
        assert len(set(accessions)) == len(accessions)


def test_a_refusal_leaves_no_trace(books):
    placed(books)
    books.keep()
    rows = {name: dict(table.items()) for name, table in books.tables.items()}
    with pytest.raises(HL7Error):
        file_report(books, report(books.orders["P1"], "C"), ANNA, NOW + timedelta(days=1))
    books.rollback()
    assert {name: dict(table.items()) for name, table in books.tables.items()} == rows
