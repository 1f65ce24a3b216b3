"""Life cycles as tables, so that a reviewer can check them against the standard with a finger.

Each table maps a state to what may happen in it and where that leads. What is not listed must not happen:
:func:`follow` says so instead of guessing.
"""

from __future__ import annotations

from typing import Final

from stepwedge.errors import StepwedgeError

Table = dict[str, dict[str, str]]

ORDER: Final[Table] = {
    # HL7 table 0038 (order status) as IHE RAD-2 and RAD-3 use it; events are order control codes and progress.
    "ordered": {"schedule": "scheduled", "cancel": "cancelled"},
    "scheduled": {
        "schedule": "scheduled",
        "start": "in progress",
        "cancel": "cancelled",
        "hold": "held",
    },
    "held": {"release": "scheduled", "cancel": "cancelled", "start": "in progress"},
    "in progress": {"start": "in progress", "complete": "completed", "discontinue": "discontinued"},
    "completed": {"complete": "completed", "start": "in progress"},  # start: the append case
    "discontinued": {"schedule": "scheduled"},
    "cancelled": {},
}

STEP: Final[Table] = {
    # PS3.3 C.4.10, Scheduled Procedure Step Status (0040,0020), driven by RAD-13 and MPPS.
    "SCHEDULED": {"start": "STARTED", "cancel": "CANCELED", "update": "SCHEDULED", "arrive": "ARRIVED"},
    "ARRIVED": {"start": "STARTED", "cancel": "CANCELED", "update": "ARRIVED", "arrive": "ARRIVED"},
    "STARTED": {"start": "STARTED", "complete": "COMPLETED", "discontinue": "DISCONTINUED"},
    "COMPLETED": {"start": "STARTED"},
    "DISCONTINUED": {"start": "STARTED", "return": "SCHEDULED"},  # return: the wrong entry was picked
    "CANCELED": {
        "start": "STARTED"
    },  # the technologist scanned from a stale list: it happened, so it is recorded
}

MPPS: Final[Table] = {
    # PS3.4 F.7.2: N-CREATE must say IN PROGRESS; COMPLETED and DISCONTINUED accept nothing more (0110).
    "IN PROGRESS": {"set": "IN PROGRESS", "complete": "COMPLETED", "discontinue": "DISCONTINUED"},
    "COMPLETED": {},
    "DISCONTINUED": {},
}

UPS: Final[Table] = {
    # PS3.4 table CC.1.1-2, UPS states; "claim" makes the Transaction UID, which "complete" and, once claimed, "cancel" must show.
    "SCHEDULED": {"update": "SCHEDULED", "claim": "IN PROGRESS", "cancel": "CANCELED"},
    "IN PROGRESS": {"update": "IN PROGRESS", "complete": "COMPLETED", "cancel": "CANCELED"},
    "COMPLETED": {},
    "CANCELED": {},
}

COMMITMENT: Final[Table] = {
    # PS3.4 J.3: one N-ACTION, one N-EVENT-REPORT; the Transaction UID is dead afterwards.
    "requested": {"all committed": "committed", "some failed": "failed"},
    "committed": {},
    "failed": {},
}

ENCOUNTER: Final[Table] = {
    # ITI-31 section 3.31.4 and HL7 2.5.1 section 3.3; events are the ADT triggers that speak of an encounter.
    "": {"A01": "active", "A04": "active", "A05": "planned"},
    "planned": {"A01": "active", "A04": "active", "A08": "planned", "A23": "deleted"},
    "active": {
        "A02": "active",
        "A03": "discharged",
        "A06": "active",
        "A07": "active",
        "A08": "active",
        "A11": "cancelled",
        "A12": "active",
        "A23": "deleted",
    },
    "discharged": {"A08": "discharged", "A13": "active", "A23": "deleted"},
    "cancelled": {},
    "deleted": {},
}

APPOINTMENT: Final[Table] = {
    # HL7 2.5.1 section 10.3 (S12 to S15, S26) and table 0278 (SCH-25) as RAD-48 uses them.
    "": {"book": "booked"},
    "booked": {"move": "booked", "modify": "booked", "cancel": "cancelled", "miss": "no show"},
    "no show": {"move": "booked", "cancel": "cancelled"},  # a missed exam is given another time
    "cancelled": {},
}

REPORT: Final[Table] = {
    # HL7 table 0123 (result status, OBR-25) and 0085 (OBX-11): P preliminary, F final, C corrected, X cancelled.
    "": {"P": "preliminary", "F": "final"},
    "preliminary": {"P": "preliminary", "F": "final", "X": "cancelled"},
    "final": {"F": "final", "C": "corrected", "A": "final", "X": "cancelled"},
    "corrected": {"C": "corrected", "F": "corrected", "A": "corrected", "X": "cancelled"},
    "cancelled": {},
}


class IllegalTransition(StepwedgeError):
    """An event came in a state that does not allow it."""

    def __init__(self, state: str, event: str, allowed: list[str]) -> None:
        """Keep the three for replies that must name them."""
        super().__init__(
            f"{event!r} is not allowed in state {state!r} (allowed: {', '.join(allowed) or 'nothing'})"
        )
        self.state, self.event, self.allowed = state, event, allowed


def follow(table: Table, state: str, event: str) -> str:
    """Return the state that ``event`` leads to."""
    try:
        return table[state][event]
    except KeyError:
        raise IllegalTransition(state, event, sorted(table.get(state, {}))) from None
