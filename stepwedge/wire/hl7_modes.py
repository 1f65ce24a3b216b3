"""Original and enhanced acknowledgement mode (HL7 2.5.1 sections 2.9.2 and 2.9.3): which answers a message asks for.

In original mode one answer says what became of a message. In enhanced mode the receiver says first that the message is in safe
storage (CA, or CE and CR when it is not taken), and later, as an answer of its own, what its application made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stepwedge.wire.hl7 import Message

ACCEPT: Final = {"AA": "CA", "AE": "CE", "AR": "CR"}
"""What an accept acknowledgement says of a decision, HL7 table 0008."""
_WHEN: Final = {"AL": (True, True), "NE": (False, False), "ER": (False, True), "SU": (True, False)}
"""HL7 table 0155: whether an answer is asked for after success, and after an error."""


@dataclass(frozen=True, slots=True)
class Enhanced:
    """The conditions of MSH-15 and MSH-16; one that is left out asks for nothing."""

    accept: str
    application: str

    def wants_accept(self, *, taken: bool) -> bool:
        """Tell whether the accept acknowledgement is asked for."""
        return _wanted(self.accept, well=taken)

    def wants_application(self, *, well: bool) -> bool:
        """Tell whether the application acknowledgement is asked for."""
        return _wanted(self.application, well=well)


def _wanted(condition: str, *, well: bool) -> bool:
    return _WHEN[condition or "NE"][0 if well else 1]


def enhanced(message: Message) -> Enhanced | None:
    """Return what a message asks for in enhanced mode; None in original mode, which is when MSH-15 and MSH-16 are empty.

    Whoever writes there what is not in table 0155 gets one answer as well: silence would be taken for a lost link.
    """
    accept, application = message.header.heads(15)[0], message.header.heads(16)[0]
    known = {accept, application} <= {"", *_WHEN}
    return Enhanced(accept, application) if known and (accept or application) else None
