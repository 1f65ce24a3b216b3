"""What the ward can say later: clinical context, and changes, holds and releases of orders."""

from __future__ import annotations

from typing import Final

from stepwedge.actors.words import Parameter, Word, define
from stepwedge.actors.words_ehr import ORDER, VERSION
from stepwedge.model.context import NEEDS, PREGNANCY, TRANSPORT

_ANSWERED: Final = {
    "control": "order control of the answer (HL7 table 0119): XR, HR, OR done; UX, UH, UR not",
    "answer": "acknowledgement code (MSA-1)",
}

define(
    Word(
        "ehr",
        "note_context",
        does="note what must be known before the patient is scanned",
        takes=(
            Parameter("patient", "patient", required=True),
            Parameter("allergies", "list", says="in words (AL1-3); [] for none said"),
            Parameter("pregnancy", says="pregnancy status", choices=tuple(PREGNANCY)),
            Parameter("weight", says="kilograms, or a number with a UCUM unit: 137 [lb_av]"),
            Parameter("height", says="metres, or a number with a UCUM unit: 170 cm"),
            Parameter("danger", says="precautions such as isolation (OBR-12)"),
            Parameter("needs", "list", says=f"ambulatory status, HL7 table 0009: {', '.join(NEEDS)}"),
            Parameter("confidentiality", says="VIP indicator (PV1-16)"),
            Parameter("transport", says="transportation mode (OBR-30)", choices=tuple(TRANSPORT)),
            VERSION,
        ),
        gives={
            "patient": "patient ID",
            "allergies": "as noted",
            "weight": "kilograms",
            "height": "metres",
            "pregnancy": "as noted",
        },
        ihe="RAD-12",
        requires=("clinical-context",),
    ),
    Word(
        "ehr",
        "change_order",
        does="change an order",
        takes=(
            Parameter("order", "order", required=True),
            Parameter("priority", choices=("routine", "timed", "urgent", "stat")),
            Parameter("reason", says="reason for the study (OBR-31)"),
            Parameter("alerts", says="medical alerts (OBR-13)"),
            Parameter("comments", says="what else the department should know (NTE)"),
            Parameter("start", says="when it should be done, YYYYMMDDHHMM"),
        ),
        gives=ORDER | _ANSWERED,
        ihe="RAD-2",
        requires=("order-changes",),
    ),
    Word(
        "ehr",
        "hold_order",
        does="put an order on hold",
        takes=(Parameter("order", "order", required=True),),
        gives=ORDER | _ANSWERED,
        ihe="RAD-2",
        requires=("order-holds",),
    ),
    Word(
        "ehr",
        "release_order",
        does="release an order from hold",
        takes=(Parameter("order", "order", required=True),),
        gives=ORDER | _ANSWERED,
        ihe="RAD-2",
        requires=("order-holds",),
    ),
    Word(
        "ehr",
        "acknowledge_result",
        does="take note of a critical result",
        takes=(
            Parameter("order", "order", required=True),
            Parameter("by", required=True, says="who takes note"),
            Parameter("read_back", "flag", says="whether it was repeated", default=True),
        ),
        gives={"accession": "accession number", "by": "who", "at": "when", "read_back": "as given"},
        ihe="RAD-128",
        requires=("critical-results",),
    ),
)
