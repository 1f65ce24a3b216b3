"""What a department changes of a planned exam, and what came out of order; with nothing but rows."""

from datetime import UTC, datetime

import pytest

from stepwedge import kit
from stepwedge.model.lifecycles import IllegalTransition
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.messages import Item, own
from stepwedge.wire.hl7 import HL7Error, parse
from stepwedge.wire.hl7_edit import Draft

kit.load_simulator("ris")

from stepwedge_simulators.ris import replanning  # noqa: E402 - the package exists once it is loaded
from stepwedge_simulators.ris.habits import RisHabits  # noqa: E402
from stepwedge_simulators.ris.settings import Settings  # noqa: E402
from stepwedge_simulators.ris.state import Ris  # noqa: E402

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
JANE = Patient("SW1", PersonName("Doe", "Jane"))


@pytest.fixture
def ris():
    return Ris(1, "ris", procedures=Settings.read({}, "ris").catalogue(), habits=RisHabits())


@pytest.fixture
def order(ris):
    ris.admit(JANE)
    made, _ = ris.place(Item("NW", placer="P1", procedure="CTABD2", alerts="pacemaker"), JANE, "2.5.1", NOW)
    ris.schedule(made, NOW)
    return ris.orders["P1"]


def test_another_protocol_keeps_every_number(ris, order):
    before = ris.steps_of(order)[0]
    (told,) = replanning.change_protocol(ris, order, 0, "CTK", "with contrast", "Iodinated 350")
    after = ris.steps_of(order)[0]
    assert (after.id, after.accession, after.code, after.contrast) == (
        before.id,
        before.accession,
        "CTK",
        "Iodinated 350",
    )
    assert (told.control, told.status, len(told.steps)) == ("XO", "SC", 2)


def test_one_step_is_moved_and_keeps_its_place(ris, order):
    first, second = ris.steps_of(order)
    replanning.move_step(ris, order, 0, None, "SW_CT2")
    assert [step.station for step in ris.steps_of(order)] == ["SW_CT2", second.station]
    assert [step.id for step in ris.steps_of(order)] == [first.id, second.id]


def test_one_of_two_steps_is_dropped_and_the_last_one_is_not(ris, order):
    (told,) = replanning.drop_step(ris, order, 1)
    assert (told.control, told.status, [step.status for step in told.steps]) == ("DC", "CA", ["CANCELED"])
    with pytest.raises(IllegalTransition, match="last step"):
        replanning.drop_step(ris, order, 0)
    with pytest.raises(IllegalTransition):
        replanning.change_protocol(ris, order, 1, "X", "X", "")
    with pytest.raises(IllegalTransition):
        replanning.change_protocol(ris, order, 7, "X", "X", "")


def test_who_has_arrived_can_still_be_scanned_or_cancelled(ris, order):
    replanning.arrive(ris, order)
    assert {step.status for step in ris.steps_of(order)} == {"ARRIVED"}
    _, done, _ = ris.cancel(Item("CA", placer="P1"), JANE)
    assert done
    assert {step.status for step in ris.steps_of(order)} == {"CANCELED"}


def test_a_cancellation_that_came_first_keeps_its_order_out(ris):
    _, done, notices = ris.cancel(Item("CA", placer="P9", procedure="CTCHEST"), JANE)
    assert (done, notices) == (True, [])
    with pytest.raises(HL7Error, match="cancelled"):
        ris.place(Item("NW", placer="P9", procedure="CTCHEST"), JANE, "2.5.1", NOW)
    with pytest.raises(HL7Error, match="no order"):
        ris.cancel(Item("CA", placer="P8", filler="F8"), JANE)


def test_what_an_update_does_not_say_stays_and_a_null_removes(ris, order):
    changed, _, _ = ris.change(Item("XO", placer="P1", priority="S"), JANE)
    assert (changed.alerts, changed.priority) == ("pacemaker", "stat")
    changed, _, _ = ris.change(Item("XO", placer="P1", alerts=""), JANE)
    assert changed.alerts == ""
    assert order.alerts == "pacemaker"


def test_what_is_older_than_what_is_known_is_left_out_and_counted(ris):
    assert not ris.stale("SW1", "20261124093000")
    assert not ris.stale("SW1", "20261124093000"), "the same moment is not older"
    assert ris.stale("SW1", "20200101080000")
    assert not ris.stale("SW1", ""), "a message without EVN-2 cannot be judged"
    assert ris.heard["SW1"].left_out == 1
    assert not ris.stale("SW1", "20261125")


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ([("1", "SVNR"), ("SW1", "STEPWEDGE")], "SW1"),
        ([("SW1", "STEPWEDGE"), ("1", "")], "SW1"),
        ([("1", "SVNR"), ("SW1", "")], "SW1"),
        ([("1", "SVNR")], ""),
        ([], ""),
    ],
)
def test_an_identifier_is_chosen_by_its_authority(given, chosen):
    assert own(given) == chosen


def test_lines_of_a_text_are_all_its_repetitions():
    segment = parse(b"MSH|^~\\&|A||||20260101||ORU^R01|1|P|2.5.1\rOBX|1|TX|1||a~~b~\r").each("OBX")[0]
    assert segment.lines("5") == ["a", "", "b", ""]
    assert segment.all("5") == ["a", "b"]


def test_a_segment_is_added_once_and_filled():
    draft = Draft(parse(b"MSH|^~\\&|A||||20260101||ADT^A08|1|P|2.5.1\rPID|1||SW1\r"))
    draft.add("MRG")
    draft.add("MRG")
    draft.put("MRG-1", "SW2", "a test")
    assert draft.body().count(b"MRG") == 1
    assert draft.get("MRG-1") == "SW2"
