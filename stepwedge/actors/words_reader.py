"""What a radiologist at the reading workstation can be told to do."""

from __future__ import annotations

from stepwedge.actors.words import Parameter, Word, define
from stepwedge.actors.words_modality import REJECTIONS

MARKED = {
    "sop": "SOP Instance UID of the new object",
    "sop_class": "its SOP Class UID",
    "series": "its Series Instance UID",
    "study": "Study Instance UID",
    "marked": "SOP Instance UIDs that it names",
    "count": "how many",
    "status": "status of its C-STORE",
}

define(
    Word(
        "reader",
        "find_study",
        "look the study up in the archive",
        (
            Parameter("accession", says="accession number"),
            Parameter("study", says="Study Instance UID"),
            Parameter("door", says="how to ask", default="c-find", choices=("c-find", "qido-rs")),
        ),
        {
            "studies": "the answers, as Elements",
            "count": "how many",
            "study": "Study Instance UID of the first",
        },
        ihe="RAD-14",
        also="DICOM keyword",
        repeat="anew",
    ),
    Word(
        "reader",
        "retrieve",
        "open the study and take in every image",
        (
            Parameter("study", required=True, says="Study Instance UID"),
            Parameter(
                "door", says="how it travels", default="c-move", choices=("c-move", "c-get", "wado-rs")
            ),
            Parameter(
                "to", says="AE title to which the archive shall send it, by c-move; its own when left out"
            ),
            Parameter(
                "stop_after", "number", says="call it off after so many images, by c-move or c-get", default=0
            ),
        ),
        {
            "instances": "one {sop, sop_class, pixels, header} per image; pixels is a SHA-256",
            "count": "how many arrived",
            "status": "final status of the retrieval",
        },
        ihe="RAD-16",
        repeat="anew",
    ),
    Word(
        "reader",
        "export_images",
        "write images onto media for somebody outside the hospital",
        (
            Parameter("study", required=True, says="Study Instance UID"),
            Parameter("numbers", "list", says="only the images of these numbers"),
            Parameter("door", says="how they come", default="c-get", choices=("c-move", "c-get", "wado-rs")),
        ),
        {
            "media": "where the files lie, a file: URL",
            "study": "Study Instance UID",
            "patient": "patient ID",
            "instances": "one {sop, pixels} per image; pixels is a SHA-256",
            "count": "how many",
        },
        requires=("media",),
    ),
    Word(
        "reader",
        "sign_report",
        "sign the report",
        (
            Parameter("order", "order", says="the order that is reported"),
            Parameter("accession", says="its accession number, when there is no order at hand"),
            Parameter("study", says="Study Instance UID"),
            Parameter("text", required=True, says="what the radiologist says"),
            Parameter("times", "number", says="the text as so many numbered paragraphs", default=1),
            Parameter("status", says="F final, P preliminary", default="F", choices=("F", "P")),
            Parameter("critical", "flag", says="somebody must be told at once (OBX-8)", default=False),
            Parameter("pdf", "flag", says="send it as a page too (OBX-5 ED)", default=False),
            Parameter("scans", "number", says="kilobytes of scanned pages in that page", default=0),
            Parameter("sr", "flag", says="store it as Basic Text SR too, and refer to it", default=False),
        ),
        {
            "report": "number of the report",
            "accession": "accession number",
            "filler": "filler order number",
            "status": "result status, HL7 table 0123",
            "text": "the whole text",
            "sr": "SOP Instance UID of the structured report",
            "critical": "whether it was signed as critical",
            "page": "SHA-256 of the page as it was sent (base64); empty when there is none",
            "answer": "acknowledgment code of the RIS",
        },
        ihe="RAD-128",
        requires=("reports",),
    ),
    Word(
        "reader",
        "add_addendum",
        "add an addendum to the report",
        (
            Parameter("report", "report", required=True, says="what sign_report gave"),
            Parameter("text", required=True, says="what is added below the signed text"),
            Parameter(
                "status",
                says="A adds to the signed text, C corrects the whole text",
                default="A",
                choices=("A", "C"),
            ),
        ),
        {
            "report": "number of the report",
            "status": "result status",
            "text": "the whole text now",
            "sr": "SOP Instance UID of its newest structured report",
            "answer": "as above",
        },
        ihe="RAD-128",
        requires=("addenda",),
    ),
    Word(
        "reader",
        "withdraw_report",
        "withdraw a signed report",
        (
            Parameter("report", "report", required=True, says="what sign_report gave"),
            Parameter("reason", says="why"),
        ),
        {"report": "number of the report", "status": "result status", "answer": "as above"},
        ihe="RAD-128",
        requires=("reports",),
    ),
    Word(
        "reader",
        "call_result",
        "tell a critical result by telephone and write down who took it",
        (
            Parameter("report", "report", required=True, says="what sign_report gave"),
            Parameter("to", required=True, says="who was told"),
            Parameter("read_back", "flag", says="whether it was repeated", default=True),
        ),
        {
            "told": "who was told",
            "at": "when",
            "read_back": "as given",
            "text": "the whole text now",
        },
        ihe="RAD-128",
        requires=("critical-results",),
    ),
    Word(
        "reader",
        "reading_list",
        "ask for the studies of a day that were not signed yet",
        (
            Parameter("date", "date", says="YYYYMMDD; today when left out"),
            Parameter("modality", says="(0008,0061)"),
            Parameter("patient", "patient", says="only of this patient"),
        ),
        {"studies": "the answers, as Elements", "count": "how many"},
        ihe="RAD-14",
    ),
    Word(
        "reader",
        "open_study",
        "bring a study with the patient's earlier ones onto the screen",
        (
            Parameter("study", required=True, says="Study Instance UID"),
            Parameter(
                "door", says="how it travels", default="c-move", choices=("c-move", "c-get", "wado-rs")
            ),
        ),
        {
            "screens": "one {series, count, order, left, right, top, bottom, center, width, inverted, missing} each",
            "priors": "one {study, date, description} each, newest first",
            "patient": "patient ID",
            "count": "how many instances arrived",
        },
        ihe="RAD-16",
    ),
    Word(
        "reader",
        "reject_images",
        "withdraw images with a rejection note",
        (
            Parameter("study", required=True, says="Study Instance UID"),
            Parameter("numbers", "list", says="only the images of these numbers; all when left out"),
            Parameter("reason", required=True, says="why: DCM code of the note's title", choices=REJECTIONS),
        ),
        {**MARKED, "rejected": "SOP Instance UIDs that it names"},
        ihe="RAD-66",
        requires=("rejection-notes",),
    ),
    Word(
        "reader",
        "mark_key_images",
        "mark images that matter",
        (
            Parameter("study", required=True, says="Study Instance UID"),
            Parameter("numbers", "list", says="the images of these numbers; all when left out"),
            Parameter("title", says="DCM code of CID 7010", default="113000"),
            Parameter("text", says="what is said about them"),
        ),
        MARKED,
        ihe="RAD-29",
    ),
    Word(
        "reader",
        "save_presentation",
        "keep how the images were shown",
        (
            Parameter("study", required=True, says="Study Instance UID"),
            Parameter("numbers", "list", says="the images of these numbers; all when left out"),
            Parameter("center", "number", says="centre of the window", default=40),
            Parameter("width", "number", says="width of the window", default=400),
            Parameter("text", says="what is written over the images"),
        ),
        MARKED,
        ihe="RAD-19",
    ),
)
