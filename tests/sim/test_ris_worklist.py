"""The worklist: which entries a query finds, how they are written, and that nothing is searched that can be looked up."""

from datetime import UTC, datetime, timedelta

import pytest

from stepwedge import kit
from stepwedge.actors.words_ris import FAULTS
from stepwedge.model.patient import Patient, PersonName
from stepwedge.model.procedure import catalogue
from stepwedge.sim.messages import Item
from stepwedge.wire.elements import decode, match, misrepresented

kit.load_simulator("ris")
from stepwedge_simulators.ris.damage import Damage, damaged  # noqa: E402  exists once the simulator is loaded
from stepwedge_simulators.ris.habits import RisHabits  # noqa: E402
from stepwedge_simulators.ris.state import Ris  # noqa: E402
from stepwedge_simulators.ris.worklist import SPS, Worklist  # noqa: E402

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
STEP = {
    "Modality": "",
    "ScheduledStationAETitle": "",
    "ScheduledProcedureStepStartDate": "",
    "ScheduledProcedureStepStartTime": "",
    "ScheduledProcedureStepID": "",
    "ScheduledProtocolCodeSequence": [],
}
KEYS = {"PatientID": "", "PatientName": "", "AccessionNumber": "", "StudyInstanceUID": "", SPS: [STEP]}


def filled(count):
    books = Ris(
        7, "ris", procedures=catalogue(kit.find("fixtures/procedures/catalogue.yaml")), habits=RisHabits()
    )
    for number in range(count):
        patient = Patient(f"SW{number:08}", PersonName(f"Family{number}", "Anna"), "19700101", "F")
        books.admit(patient)
        procedure = ("CTCHEST", "CTHEAD", "CTABD2")[number % 3]
        order, _ = books.place(Item("NW", placer=f"P{number}", procedure=procedure), patient, "2.5.1", NOW)
        station = f"SW_CT{number % 4 + 1}"
        books.schedule(order, NOW, station=station, start=NOW + timedelta(days=number % 5))
        books.keep()
    return books


@pytest.fixture(scope="module")
def books():
    return filled(60)


@pytest.fixture(scope="module")
def worklist(books):
    return Worklist(books)


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({}, 80),
        ({"PatientID": "SW00000005"}, 2),
        ({"PatientID": "sw00000005"}, 0),
        ({"PatientID": "SW0000000?"}, 13),
        ({"PatientName": "family5^*"}, 2),
        ({"AccessionNumber": "SW0"}, 0),
        ({"StudyInstanceUID": "1.2.3\\1.2.4"}, 0),
        ({SPS: [{"ScheduledStationAETitle": "SW_CT1"}]}, 20),
        ({SPS: [{"ScheduledStationAETitle": "SW_CT1", "ScheduledProcedureStepStartDate": "20261124"}]}, 4),
        ({SPS: [{"ScheduledProcedureStepStartDate": "20261125-20261126"}]}, 32),
        ({SPS: [{"ScheduledProcedureStepStartDate": "-20261124"}]}, 16),
        ({SPS: [{"ScheduledProcedureStepStartTime": "0900-0945"}]}, 60),
        ({SPS: [{"Modality": "MR"}]}, 0),
        ({SPS: [{"ScheduledProtocolCodeSequence": [{"CodeValue": "CTABDC"}]}]}, 20),
        ({"SpecificCharacterSet": "ISO_IR 100", SPS: []}, 80),
    ],
)
def test_every_key_is_matched(worklist, books, keys, count):
    found = list(worklist.find(keys))
    assert len(found) == count
    # The index may narrow, never decide: every step not found does not match.
    every = [worklist._entry(step) for step in books.steps.values()]
    assert sorted(entry[SPS][0]["ScheduledProcedureStepID"] for entry in found) == sorted(
        entry[SPS][0]["ScheduledProcedureStepID"] for entry in every if match(keys, entry)
    )


def test_answers_hold_what_was_asked_for_and_nothing_else(worklist):
    (first, _) = (
        decode(answer, explicit=True) for answer in worklist.answers({**KEYS, "PatientID": "SW00000005"})
    )
    assert set(first) == set(KEYS)
    assert set(first[SPS][0]) == set(STEP)
    assert first[SPS][0]["ScheduledProtocolCodeSequence"][0][
        "CodeMeaning"
    ]  # an empty sequence asks for all of it


def test_an_answer_is_encoded_once_until_something_changes(books):
    worklist = Worklist(books)
    query = {**KEYS, "PatientID": "SW00000000"}
    (first,), (second,) = worklist.answers(query), worklist.answers(query)
    assert first is second
    books.admit(Patient("SW00000000", PersonName("MÜLLER", "Anna")))
    (third,) = worklist.answers(query)
    assert decode(third, explicit=True)["PatientName"] == "MÜLLER^Anna"
    assert decode(third, explicit=True)["SpecificCharacterSet"] == "ISO_IR 100"
    books.rollback()
    (fourth,) = worklist.answers(query)
    assert fourth == first


def test_shapes_of_queries_do_not_fill_the_memory(worklist):
    for number in range(500):
        list(worklist.answers({f"0011{number:04X}": "", "AccessionNumber": "SW0"}))
    assert len(worklist._encoded) <= 64


@pytest.mark.parametrize(
    ("keys", "most"),
    [
        ({"AccessionNumber": "accession of one"}, 2),
        ({"PatientID": "SW00000005"}, 2),
        ({SPS: [{"ScheduledStationAETitle": "SW_CT1", "ScheduledProcedureStepStartDate": "20261124"}]}, 4),
    ],
)
def test_what_a_scanner_asks_for_is_looked_up_and_not_searched(books, worklist, keys, most):
    if "AccessionNumber" in keys:
        keys = {"AccessionNumber": books.orders["P5"].accession}
    assert 0 < len(list(worklist._candidates(keys))) <= most


def test_a_damaged_entry_is_offered_so_until_it_is_mended():
    books = filled(1)
    worklist = Worklist(books)
    step_keys = STEP | {"ScheduledProcedureStepStatus": ""}
    keys = KEYS | {"RequestedProcedurePriority": "", "ReferringPhysicianName": "", SPS: [step_keys]}
    keys |= {"RequestedProcedureDescription": ""}
    (whole,) = worklist.answers(keys)
    (step,) = books.steps
    for fault in FAULTS:
        books.damages[step] = Damage(step, fault)
        (faulty,) = worklist.answers(keys)
        assert faulty != whole, fault
        assert misrepresented(faulty) == (["RequestedProcedurePriority"] if fault == "wrong-vr" else [])
        assert (damaged(decode(whole, explicit=True), fault) != decode(whole, explicit=True)) == (
            fault != "wrong-vr"
        )
    del books.damages[step]
    assert list(worklist.answers(keys)) == [whole]
