"""What an acquisition modality (a scanner and its console) can be told to do."""

from __future__ import annotations

from stepwedge.actors.words import Parameter, Undo, Word, define
from stepwedge.wire.pixels import NAMES

REJECTIONS = ("113001", "113037", "113038", "113039")
"""For quality, for patient safety, incorrect worklist entry, retention expired (RAD-66)."""

EXAM = {
    "uid": "MPPS SOP Instance UID",
    "study": "Study Instance UID",
    "accession": "accession number",
    "patient": "patient ID",
    "station": "AE title of the scanner",
    "filled": "keys that a lenient scanner had to fill in, cut or read anew",
    "pending": "whether the RIS must be told later, the scanner being off the network",
}

OBJECTS = {
    "series": "Series Instance UID",
    "study": "Study Instance UID",
    "instances": "one {sop, sop_class, pixels, number, frames} each; pixels is a SHA-256, empty when there are none",
    "count": "how many",
    "mpps": "MPPS SOP Instance UID",
}

define(
    Word(
        "modality",
        "fetch_worklist",
        "fetch the worklist onto the console",
        (),
        {
            "entries": "all entries, as Elements",
            "count": "how many",
            "entry": "the first entry; absent when none came",
            "fetched": "when, YYYYMMDDHHMMSS",
            "left_out": "by a strict scanner: one {accession, reason} per entry with an element under a foreign VR",
            "reread": "by a lenient one: elements that it read although their VR is a foreign one",
        },
        ihe="RAD-5",
        requires=("mwl",),
        also="DICOM keyword",
        repeat="anew",
    ),
    Word(
        "modality",
        "show_worklist",
        "look at the worklist on the console, old or new",
        (),
        {
            "entries": "all entries, as Elements",
            "count": "how many",
            "entry": "the first entry; absent when there is none",
            "fetched": "when, YYYYMMDDHHMMSS",
            "stale": "whether the RIS could not be asked and this is what was fetched before",
            "reason": "why it could not be asked",
        },
        ihe="RAD-5",
        requires=("mwl",),
        also="DICOM keyword",
        repeat="anew",
    ),
    Word(
        "modality",
        "unplug",
        "take the scanner off the network",
        (
            Parameter(
                "from",
                says="everybody, or the RIS alone",
                default="everybody",
                choices=("everybody", "ris"),
            ),
        ),
        {"waiting": "how many messages to the RIS wait"},
        undo=Undo("plug_in"),
    ),
    Word(
        "modality",
        "plug_in",
        "bring the scanner back onto the network; the RIS learns what was performed meanwhile",
        (),
        {"sent": "how many messages the RIS has now been told", "waiting": "how many still wait"},
        ihe="RAD-7",
    ),
    Word(
        "modality",
        "start_exam",
        "start the exam chosen from the worklist",
        (
            Parameter("entry", "entry", required=True, says="a worklist entry, as fetch_worklist gave it"),
            Parameter("step", "number", says="which scheduled step of the entry, from 0", default=0),
            Parameter("group", "entries", says="further entries that the same exam performs"),
            Parameter(
                "at", says="what the scanner's clock shows, YYYYMMDDHHMMSS; the real time when left out"
            ),
            Parameter("weight", "number", says="of the patient on the table, in kg"),
            Parameter("height", "number", says="of the patient on the table, in m"),
        ),
        EXAM,
        ihe="RAD-6",
        requires=("mpps",),
        repeat="same",
    ),
    Word(
        "modality",
        "enter_exam",
        "start an exam that nobody scheduled, typed in by hand",
        (
            Parameter("patient", "patient", required=True, says="who lies on the table"),
            Parameter("description", "text", says="what is done", default=""),
            Parameter(
                "at", says="what the scanner's clock shows, YYYYMMDDHHMMSS; the real time when left out"
            ),
        ),
        EXAM,
        ihe="RAD-6",
        requires=("mpps",),
        repeat="same",
    ),
    Word(
        "modality",
        "append_exam",
        "start a further exam for a step that was done before",
        (Parameter("mpps", "mpps", required=True, says="the exam before"),),
        EXAM,
        ihe="RAD-6",
        requires=("mpps",),
        repeat="same",
    ),
    Word(
        "modality",
        "correct_exam",
        "break off the exam of a wrongly picked entry and start it from the right one",
        (
            Parameter("mpps", "mpps", required=True, says="the exam that was started from the wrong entry"),
            Parameter("entry", "entry", required=True, says="the right worklist entry"),
        ),
        EXAM | {"wrong": "MPPS SOP Instance UID of the exam broken off, reason 110514"},
        ihe="RAD-7",
        requires=("mpps",),
    ),
    Word(
        "modality",
        "acquire",
        "acquire images of the phantom",
        (
            Parameter("mpps", "mpps", required=True, says="the exam they belong to"),
            Parameter("images", "number", says="how many slices", default=3),
            Parameter("recipe", "text", says="a file of fixtures/phantoms", default=""),
            Parameter(
                "at", says="what the scanner's clock shows, YYYYMMDDHHMMSS; the real time when left out"
            ),
            Parameter("frames", "number", says="how many frames; the recipe's own number when left out"),
            Parameter("copy_of", "images", says="images of another exam, made anew for this one"),
            Parameter(
                "header",
                "mapping",
                says="DICOM keyword or GGGGEEEE to value: what this device writes instead; null for nothing",
            ),
            Parameter(
                "aligned_with",
                "images",
                says="images of the same patient, not moved since: one frame of reference",
            ),
        ),
        OBJECTS,
    ),
    Word(
        "modality",
        "report_dose",
        "write the dose report of the exam",
        (Parameter("mpps", "mpps", required=True, says="the exam in which radiation was given"),),
        OBJECTS,
    ),
    Word(
        "modality",
        "store_images",
        "send the images to the archive",
        (
            Parameter("images", "images", required=True, says="what acquire gave"),
            Parameter("door", says="how they travel", default="c-store", choices=("c-store", "stow-rs")),
            Parameter(
                "encoding",
                says="the transfer syntax they are sent in",
                default="explicit",
                choices=tuple(NAMES),
            ),
            Parameter(
                "alter",
                says="send the same SOP Instance UIDs with this changed",
                choices=("pixels", "series"),
            ),
            Parameter("numbers", "list", says="only the images of these numbers"),
            Parameter(
                "connections", "number", says="over so many associations at the same moment, each its share"
            ),
            Parameter("each_all", "flag", says="with connections: each sends every image", default=False),
            Parameter(
                "resend", "flag", says="the images were sent before; they are sent again", default=False
            ),
        ),
        {
            "sent": "one {sop, status, comment} per image; status is four hex digits, or an HTTP failure reason",
            "stored": "how many the archive took",
            "refused": "how many it refused",
        },
        ihe="RAD-8",
        requires=("storage",),
        repeat="same",
    ),
    Word(
        "modality",
        "commit",
        "ask the archive to take responsibility for the images",
        (
            Parameter("images", "images", required=True, says="what acquire gave"),
            Parameter(
                "event",
                says="wait for the answer on the same association, hang up, or hang up and open the next one",
                default="same",
                choices=("same", "new", "next"),
            ),
            Parameter("extra", "number", says="ask for so many instances that were never sent", default=0),
        ),
        {
            "transaction": "Transaction UID",
            "committed": "SOP Instance UIDs the archive answers for",
            "failed": "one {sop, reason} per instance it does not answer for",
            "arrived": "same, new or next: the association on which the answer came",
        },
        ihe="RAD-10",
        requires=("storage-commitment",),
        repeat="anew",
    ),
    Word(
        "modality",
        "complete_exam",
        "complete the exam",
        (
            Parameter("mpps", "mpps", required=True, says="the exam"),
            Parameter(
                "images",
                "images",
                required=True,
                says="what was acquired; a list when there were several series",
            ),
            Parameter(
                "at", says="what the scanner's clock shows, YYYYMMDDHHMMSS; the real time when left out"
            ),
        ),
        {
            "status": "COMPLETED",
            "uid": "MPPS SOP Instance UID",
            "pending": "whether the RIS must be told later",
        },
        ihe="RAD-7",
        requires=("mpps",),
        repeat="same",
    ),
    Word(
        "modality",
        "discontinue_exam",
        "discontinue the exam",
        (
            Parameter("mpps", "mpps", required=True, says="the exam"),
            Parameter(
                "reason",
                says="code^meaning^scheme, or a DCM code alone, CID 9300",
                default="110513^Discontinued for unspecified reason^DCM",
            ),
            Parameter("images", "images", says="what was acquired before"),
        ),
        {
            "status": "DISCONTINUED",
            "uid": "MPPS SOP Instance UID",
            "pending": "whether the RIS must be told later",
        },
        ihe="RAD-7",
        requires=("mpps",),
        repeat="same",
    ),
    Word(
        "modality",
        "delete_images",
        "free the scanner's disk of the images that the archive answers for",
        (Parameter("images", "images", required=True, says="what acquire gave"),),
        {
            "deleted": "how many are gone",
            "kept": "how many stay, not being committed",
            "left": "their SOP Instance UIDs",
        },
    ),
    Word(
        "modality",
        "reject_images",
        "withdraw images with a rejection note",
        (
            Parameter("images", "images", required=True, says="what acquire gave"),
            Parameter("numbers", "list", says="only the images of these numbers"),
            Parameter("reason", says="why: DCM code of the note's title", required=True, choices=REJECTIONS),
        ),
        {
            "sop": "SOP Instance UID of the note",
            "study": "Study Instance UID",
            "rejected": "SOP Instance UIDs that it names",
            "count": "how many",
            "status": "status of its C-STORE",
        },
        ihe="RAD-66",
        requires=("rejection-notes",),
    ),
)
