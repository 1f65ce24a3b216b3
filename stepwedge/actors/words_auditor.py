"""What the audit record repository can be told: to be down, and to suffer somebody with access to its disk."""

from __future__ import annotations

from stepwedge.actors.words import Parameter, Undo, Word, define

_KEPT = {"records": "how many records it keeps"}

define(
    Word(
        "auditor",
        "pause",
        "take the audit record repository out of service",
        gives=_KEPT,
        undo=Undo("resume"),
    ),
    Word("auditor", "resume", "bring the audit record repository back", gives=_KEPT),
    Word(
        "auditor",
        "tamper",
        "change who it was in the newest audit record of a patient, behind the repository's back",
        (Parameter("patient", required=True, says="patient ID"),),
        {"record": "number of the record", "was": "the user IDs it had"},
        undo=Undo("restore", {"record": "record", "users": "was"}),
    ),
    Word(
        "auditor",
        "restore",
        "put the changed audit record back as it was",
        (
            Parameter("record", "number", required=True, says="number of the record"),
            Parameter("users", "list", required=True, says="the user IDs it had"),
        ),
        {"record": "its number"},
    ),
)
