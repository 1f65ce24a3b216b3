"""What a department can change of an exam that is planned (RAD-13)."""

from __future__ import annotations

from typing import Final

from stepwedge.actors.words import Parameter, Word, define
from stepwedge.actors.words_ris import SCHEDULE

_ORDER: Final = Parameter("order", "order", required=True)
_STEP: Final = Parameter("step", "number", says="which step of the order, from 0", default=0)

define(
    Word(
        "ris",
        "change_protocol",
        does="give an exam another protocol",
        takes=(
            _ORDER,
            _STEP,
            Parameter("code", required=True, says="code of the protocol (IPC-6)"),
            Parameter("text", required=True, says="what it is called"),
            Parameter("contrast", says="contrast agent, when one is given"),
        ),
        gives=SCHEDULE,
        ihe="RAD-13",
    ),
    Word(
        "ris",
        "move_step",
        does="move one step of an exam, and leave the others",
        takes=(
            _ORDER,
            _STEP,
            Parameter("start", says="move to YYYYMMDDHHMM or YYYYMMDDHHMMSS"),
            Parameter("station", says="AE title of the new station"),
        ),
        gives=SCHEDULE,
        ihe="RAD-13",
    ),
    Word(
        "ris",
        "drop_step",
        does="give up one step of an exam, and keep the others",
        takes=(_ORDER, _STEP),
        gives=SCHEDULE,
        ihe="RAD-13",
    ),
    Word(
        "ris",
        "note_arrival",
        does="note that the patient has come",
        takes=(_ORDER,),
        gives=SCHEDULE,
        ihe="RAD-5",
        requires=("mwl",),
    ),
)
