"""What the electronic health record can be told to do: register, correct, merge, order, cancel."""

from __future__ import annotations

from typing import Final

from stepwedge.actors.words import Parameter, Word, define

VERSION: Final = Parameter(
    "version", says="HL7 version of the messages", default="2.5.1", choices=("2.3.1", "2.5.1")
)
DESCRIBED: Final = (
    Parameter("name", says="DICOM PN value; made from the seed when left out"),
    Parameter("birth_date", "date", says="YYYYMMDD; made from the seed when left out"),
    Parameter("sex", says="made from the seed when left out", choices=("F", "M", "O")),
)
CORRECTED: Final = (
    Parameter("name", says="new name, DICOM PN value"),
    Parameter("birth_date", "date", says="new birth date"),
    Parameter("sex", says="new sex", choices=("F", "M", "O")),
)
PATIENT: Final = {
    "id": "patient ID",
    "issuer": "assigning authority of the ID",
    "name": "name as a DICOM PN value",
    "birth_date": "YYYYMMDD",
    "sex": "F, M or O",
}
ORDER: Final = {
    "placer": "placer order number",
    "filler": "filler order number, empty until the filler has answered",
    "accession": "accession number, empty until the filler has answered",
    "procedure": "procedure code",
    "priority": "routine, timed, urgent or stat",
    "patient": "patient ID",
    "version": "HL7 version of its messages",
    "study": "Study Instance UID, empty until it is known",
    "status": "status as the placer knows it",
    "provider": "ordering physician as a DICOM PN value",
    "visit": "visit number, empty when it was ordered in no encounter",
}

define(
    Word(
        "ehr",
        "register_patient",
        does="register a patient",
        takes=(
            *DESCRIBED,
            Parameter("locale", says="language of a made-up name", default="en_US"),
            VERSION,
            Parameter("charset", says="MSH-18 of the messages; the smallest that fits when left out"),
            Parameter("id", says="the number on the wristband; made when left out"),
            Parameter(
                "untold", "flag", says="nobody hears of it before the first order comes", default=False
            ),
        ),
        gives=PATIENT,
        ihe="RAD-1",
    ),
    Word(
        "ehr",
        "update_patient",
        does="correct a patient's demographics",
        takes=(
            Parameter("patient", "patient", required=True),
            *CORRECTED,
            VERSION,
        ),
        gives=PATIENT,
        ihe="RAD-12",
        requires=("patient-update",),
    ),
    Word(
        "ehr",
        "merge_patients",
        does="merge a duplicate patient record into the one that survives",
        takes=(
            Parameter("survivor", "patient", required=True, says="the record that stays"),
            Parameter("prior", "patient", required=True, says="the duplicate that disappears"),
            VERSION,
        ),
        gives=PATIENT,
        ihe="RAD-12",
        requires=("patient-merge",),
    ),
    Word(
        "ehr",
        "place_order",
        does="order an imaging procedure",
        takes=(
            Parameter("patient", "patient", required=True),
            Parameter("procedure", required=True, says="code in the procedure catalogue"),
            Parameter("priority", default="routine", choices=("routine", "timed", "urgent", "stat")),
            Parameter("reason", says="reason for the study (OBR-31)"),
            Parameter("alerts", says="medical alerts (OBR-13)"),
            Parameter("comments", says="what else the department should know (NTE)"),
            Parameter("visit", "visit", says="encounter in which it is ordered (PV1-19)"),
            Parameter("accession", says="accession number issued by the placer (OBR-18)"),
            Parameter("placer", says="placer order number that was given before; made when left out"),
            Parameter(
                "form",
                says="the message; OMI^O23 (2.5.1) carries accession number and study issued by the placer",
                default="usual",
                choices=("usual", "OMI^O23"),
            ),
            Parameter(
                "by",
                default="hl7",
                choices=("hl7", "fhir"),
                says="how: OMG^O19 or ORM^O01, or ServiceRequest with Task",
            ),
            VERSION,
        ),
        gives=ORDER,
        ihe="RAD-2",
        requires=("orders",),
    ),
    Word(
        "ehr",
        "place_orders",
        does="order several procedures at the same moment",
        takes=(
            Parameter("patient", "patient", required=True),
            Parameter("procedures", "list", required=True, says="codes in the procedure catalogue"),
            VERSION,
        ),
        gives={"orders": "the orders, each as place_order gives it", "count": "how many"},
        ihe="RAD-2",
        requires=("orders",),
    ),
    Word(
        "ehr",
        "resend_order",
        does="send an order again under a new control ID, as a sender does that is unsure whether it arrived",
        takes=(Parameter("order", "order", required=True),),
        gives=ORDER | {"answer": "acknowledgement code (MSA-1)"},
        ihe="RAD-2",
        requires=("orders",),
    ),
    Word(
        "ehr",
        "cancel_order",
        does="cancel an order",
        takes=(
            Parameter("order", "order", required=True),
            Parameter("reason", says="why (ORC-16)"),
        ),
        gives=ORDER
        | {
            "control": "order control of the answer: CR cancelled, UC unable to cancel",
            "answer": "acknowledgement code (MSA-1)",
        },
        ihe="RAD-2",
        requires=("orders",),
    ),
)
