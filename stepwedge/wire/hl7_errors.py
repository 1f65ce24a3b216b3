"""What is wrong with an HL7 message, said so that it can be answered: HL7 table 0357 and a place in the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError

if TYPE_CHECKING:
    from stepwedge.wire.hl7 import Message

CONDITIONS: Final[dict[int, str]] = {
    # HL7 v2.5.1 table 0357 (message error condition codes); 2.3.1 has the same.
    0: "Message accepted",
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    103: "Table value not found",
    200: "Unsupported message type",
    201: "Unsupported event code",
    202: "Unsupported processing id",
    203: "Unsupported version id",
    204: "Unknown key identifier",
    205: "Duplicate key identifier",
    206: "Application record locked",
    207: "Application internal error",
}

_REJECTED: Final = frozenset({200, 201, 202, 203, 206, 207})


class HL7Error(RemoteProtocolError):
    """A message that cannot be taken as it stands.

    Attributes:
        code: condition of table 0357.
        location: path such as ``PID[1]-3[2].4``, for ERR-1 (2.3.1) or ERR-2 (2.5.1).
        text: what is wrong, for a person.
        about: the message as far as its MSH can be read, for the answer; ``None`` when there is no MSH.
    """

    def __init__(self, code: int, location: str, text: str, about: Message | None = None) -> None:
        """Name condition, place and reason."""
        super().__init__(f"HL7 {location or 'message'}: {text} ({code} {CONDITIONS[code]})")
        self.code, self.location, self.text, self.about = code, location, text, about

    @property
    def answer(self) -> str:
        """The acknowledgement code it deserves (2.5.1 section 2.9.2.2): AR for what no correction of content can mend."""
        return "AR" if self.code in _REJECTED else "AE"
