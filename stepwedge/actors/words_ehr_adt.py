"""What the electronic health record can be told about encounters and persons (ITI-30, ITI-31)."""

from __future__ import annotations

from typing import Final

from stepwedge.actors.words import Parameter, Word, define
from stepwedge.actors.words_ehr import CORRECTED, DESCRIBED, PATIENT, VERSION

ENCOUNTER: Final = {
    "visit": "visit number",
    "patient": "patient ID",
    "patient_class": "I, O or E (HL7 table 0004)",
    "location": "point of care, room and bed, joined by ^",
    "former": "where the patient was before the last transfer",
    "status": "planned, active, discharged, cancelled or deleted",
}
_VISIT: Final = Parameter("visit", "visit", required=True, says="an encounter, or its visit number")
_LOCATION: Final = Parameter("location", says="point of care, room and bed, joined by ^")
_CLASS: Final = Parameter("class", default="inpatient", choices=("inpatient", "outpatient", "emergency"))


def _encounter(name: str, does: str, *takes: Parameter) -> Word:
    return Word("ehr", name, does, (*takes, VERSION), gives=ENCOUNTER, ihe="ITI-31", requires=("encounters",))


define(
    _encounter(
        "preadmit",
        "announce a stay that is still to come",
        Parameter("patient", "patient", required=True),
        _CLASS,
        _LOCATION,
    ),
    _encounter(
        "admit",
        "admit an inpatient, or register an outpatient or emergency visit",
        Parameter("patient", "patient", says="whose encounter begins; left out with visit"),
        Parameter("visit", "visit", says="the planned encounter that begins"),
        _CLASS,
        _LOCATION,
    ),
    _encounter(
        "transfer",
        "move a patient to another ward, room or bed",
        _VISIT,
        Parameter("location", required=True, says="where to: point of care, room and bed, joined by ^"),
    ),
    _encounter("discharge", "discharge a patient", _VISIT),
    _encounter("change_to_inpatient", "make an outpatient an inpatient", _VISIT, _LOCATION),
    _encounter("change_to_outpatient", "make an inpatient an outpatient", _VISIT, _LOCATION),
    _encounter("cancel_admit", "take an admission back", _VISIT),
    _encounter("cancel_transfer", "take the last transfer back", _VISIT),
    _encounter("cancel_discharge", "take a discharge back", _VISIT),
    _encounter("delete_visit", "delete an encounter that was entered in error", _VISIT),
    Word(
        "ehr",
        "add_person",
        does="enter a person who is not in the hospital",
        takes=(
            *DESCRIBED,
            VERSION,
        ),
        gives=PATIENT,
        ihe="ITI-30",
        requires=("persons",),
    ),
    Word(
        "ehr",
        "update_person",
        does="correct a person's demographics",
        takes=(
            Parameter("patient", "patient", required=True),
            *CORRECTED,
            VERSION,
        ),
        gives=PATIENT,
        ihe="ITI-30",
        requires=("persons",),
    ),
    Word(
        "ehr",
        "change_identifier",
        does="give a patient another patient ID",
        takes=(
            Parameter("patient", "patient", required=True),
            Parameter("id", "patient", says="the new ID, or a patient who has it; made when left out"),
            VERSION,
        ),
        gives=PATIENT | {"answers": "acknowledgement code (MSA-1) by actor"},
        ihe="ITI-30",
        requires=("patient-identifier",),
    ),
)
