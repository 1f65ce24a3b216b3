"""What the operator of the interface engine can be told to do."""

from __future__ import annotations

from stepwedge.actors.words import Parameter, Undo, Word, define

_DESTINATION = (Parameter("destination", required=True, says="the actor at the end of the queue"),)

define(
    Word(
        "engine",
        "replay",
        "send a dead letter again, corrected",
        (
            Parameter(
                "letter",
                required=True,
                says="number of the dead letter, what relay.dead_letter found, or a control ID with one dead letter",
            ),
            Parameter("correct", "mapping", says="HL7 path to value; as the tables make it when left out"),
        ),
        {
            "letter": "number of the copy that is sent now",
            "control": "its message control ID; a new one when it is not what was sent before",
            "to": "its destination",
            "fate": "waiting, or dead when the tables cannot translate it",
        },
    ),
    Word(
        "engine",
        "reload_table",
        "load other rows into a code table, for messages that come from now on",
        (
            Parameter("table", required=True, says="name of the table in the lab file"),
            Parameter("rows", "mapping", required=True, says="their code to the receiver's, all rows"),
        ),
        {
            "table": "its name",
            "version": "number of the version that holds from now on",
            "before": "the rows that held until now",
        },
        undo=Undo("reload_table", {"table": "table", "rows": "before"}),
    ),
    Word(
        "engine",
        "pause",
        "keep back what is for one destination, and go on taking messages for it",
        _DESTINATION,
        {"destination": "the actor"},
        undo=Undo("resume", {"destination": "destination"}),
    ),
    Word(
        "engine",
        "resume",
        "let out what was kept back, the oldest first",
        _DESTINATION,
        {"destination": "the actor"},
    ),
)
