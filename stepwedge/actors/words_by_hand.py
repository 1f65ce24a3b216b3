"""What whoever tests an interface can let a system send: a message that it sent before, changed in single places."""

from __future__ import annotations

from stepwedge.actors.words import Parameter, Word, define

_TAKES = (
    Parameter("message", required=True, says="control ID of the message that is taken as the draft (MSH-10)"),
    Parameter("to", says="the actor it goes to; the receiver of the draft when left out"),
    Parameter("set", "mapping", says="HL7 path to value; a segment that is not there is put behind the last"),
    Parameter("drop", "list", says="segments that are left out"),
    Parameter(
        "at_once", "list", says="further changes, one mapping for each message; all leave at the same moment"
    ),
    Parameter(
        "late",
        "flag",
        says="it keeps the time of the draft (MSH-7): it was on its way so long",
        default=False,
    ),
)
_GIVES = {
    "id": "its message control ID, a new one",
    "answer": "acknowledgement code (MSA-1)",
    "control": "order control of the answer (ORC-1)",
    "error": "code of what is wrong (ERR-3, or ERR-1.4 in 2.3.1; table 0357)",
    "text": "what the receiver says about it",
    "late": "as given",
    "ids": "the control IDs of all",
    "answers": "the acknowledgement codes of all, when several left at once",
}

define(
    *(
        Word(role, "send_by_hand", "send a message again, changed by hand", _TAKES, _GIVES, ihe="HL7")
        for role in ("ehr", "ris", "reader")
    )
)

define(
    Word(
        "modality",
        "tell_step",
        "tell the department of an exam as no scanner should, and see whether it still listens",
        (
            Parameter("mpps", "mpps", required=True, says="the exam it is taken from"),
            Parameter("event", required=True, says="N-CREATE or N-SET", choices=("create", "set")),
            Parameter("other", "flag", says="under a new MPPS SOP Instance UID", default=False),
            Parameter("set", "mapping", says="DICOM keyword to value"),
            Parameter("without", "list", says="DICOM keywords that are left out"),
        ),
        {
            "uid": "MPPS SOP Instance UID",
            "status": "status of N-CREATE or N-SET, four hex digits",
            "comment": "its Error Comment",
            "usable": "a C-ECHO on the same association was answered",
        },
        ihe="RAD-6",
        requires=("mpps",),
    ),
    Word(
        "modality",
        "ask_commitment",
        "ask the archive for images in a way that it cannot grant",
        (
            Parameter("images", "images", required=True, says="what acquire gave"),
            Parameter(
                "wrong",
                required=True,
                says="another SOP class, or no images named",
                choices=("class", "nothing"),
            ),
        ),
        {
            "status": "status of N-ACTION, four hex digits",
            "transaction": "Transaction UID",
            "committed": "SOP Instance UIDs the archive answers for",
            "failed": "one {sop, reason} per instance it does not answer for",
        },
        ihe="RAD-10",
        requires=("storage-commitment",),
    ),
)
