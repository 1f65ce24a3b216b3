"""What the radiology information system can be told to do: schedule, reschedule, cancel, make orders, reconcile."""

from __future__ import annotations

from typing import Final

from stepwedge.actors.words import Parameter, Word, define
from stepwedge.actors.words_ehr import ORDER

SCHEDULE: Final = ORDER | {
    "start": "start of the first step, YYYYMMDDHHMMSS",
    "date": "day of the first step, YYYYMMDD",
    "station": "AE title of the station of the first step",
    "steps": "list of {id, code, station, start, status}",
}

FAULTS: Final = ("no-physician", "not-a-code", "too-long", "wrong-vr")
"""What can be wrong with a worklist entry: a key of type 2 missing, a value that is none of its VR,
one longer than its VR allows, an element under another VR. What else stands in the entry stays true."""

define(
    Word(
        "ris",
        "damage_entry",
        does="offer an order on the worklist with a fault in its entry",
        takes=(
            Parameter("order", "order", required=True),
            Parameter("fault", required=True, says="what is wrong with it", choices=FAULTS),
        ),
        gives=SCHEDULE | {"fault": "what is wrong with the entry"},
        ihe="RAD-5",
        requires=("mwl",),
    ),
    Word(
        "ris",
        "mend_entry",
        does="offer an order on the worklist as it should be",
        takes=(Parameter("order", "order", required=True),),
        gives=SCHEDULE,
        ihe="RAD-5",
    ),
    Word(
        "ris",
        "schedule_order",
        does="schedule an order's procedure steps",
        takes=(
            Parameter("order", "order", required=True),
            Parameter("station", says="AE title of the station; the catalogue's when left out"),
            Parameter("start", says="YYYYMMDDHHMM or YYYYMMDDHHMMSS; soon when left out"),
        ),
        gives=SCHEDULE,
        ihe="RAD-4",
    ),
    Word(
        "ris",
        "reschedule",
        does="move an exam to another day, time or scanner",
        takes=(
            Parameter("order", "order", required=True),
            Parameter("days", "number", says="move by so many days"),
            Parameter("start", says="move to YYYYMMDDHHMM or YYYYMMDDHHMMSS"),
            Parameter("station", says="AE title of the new station"),
            Parameter("comments", says="what the department adds for the technologist (NTE)"),
        ),
        gives=SCHEDULE,
        ihe="RAD-13",
    ),
    Word(
        "ris",
        "no_show",
        does="note that the patient did not come",
        takes=(Parameter("order", "order", required=True),),
        gives=SCHEDULE,
        ihe="RAD-48",
        requires=("appointments",),
    ),
    Word(
        "ris",
        "cancel_order",
        does="cancel an order on the department's side",
        takes=(
            Parameter("order", "order", required=True),
            Parameter("reason", says="why (ORC-16)"),
        ),
        gives=SCHEDULE,
        ihe="RAD-3",
    ),
    Word(
        "ris",
        "create_order",
        does="make an order in the department, to which the ward gives its number",
        takes=(
            Parameter("patient", "patient", required=True),
            Parameter("procedure", required=True, says="code in the procedure catalogue"),
            Parameter("priority", default="routine", choices=("routine", "timed", "urgent", "stat")),
            Parameter("reason", says="reason for the study (OBR-31)"),
            Parameter("schedule", "flag", says="false for an exam that was done already", default=True),
            Parameter("version", says="HL7 version", default="2.5.1", choices=("2.3.1", "2.5.1")),
        ),
        gives=SCHEDULE,
        ihe="RAD-3",
        requires=("filler-orders",),
    ),
    Word(
        "ris",
        "reconcile",
        does="attach an exam that nobody ordered to an order",
        takes=(
            Parameter("mpps", "mpps", required=True, says="the exam, or its MPPS UID"),
            Parameter("order", "order", required=True),
            Parameter("by", says="who decided", default="scheduler"),
        ),
        gives=SCHEDULE,
        ihe="RAD-13",
        requires=("exam-reconciliation",),
    ),
    Word(
        "ris",
        "send_document",
        does="send the report of an order as a document",
        takes=(Parameter("order", "order", required=True),),
        gives={
            "document": "unique document number (TXA-12)",
            "parent": "the document it replaces or adds to (TXA-13)",
            "accession": "accession number",
        },
        ihe="MDM",
        requires=("documents",),
    ),
)
