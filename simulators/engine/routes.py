"""Which messages go where. Pure: a route is data, a message and its sender go in, a yes or no comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from .translation import Normal

if TYPE_CHECKING:
    from stepwedge.wire.hl7 import Message

REPLIES: Final = ("engine", "destination")


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the routing table.

    Attributes:
        name: what the trail calls it.
        source: actor or application (MSH-3) it listens to; empty for everybody.
        types: message types (``ADT``) or triggers (``ADT^A08``); empty for all.
        where: HL7 path to a pattern (``*`` and ``?``) that the value must match; ``""`` means: not valued.
        to: destinations, by actor name; none means that such messages are taken and go nowhere, on purpose.
        translate: names of code tables, applied in this order.
        normal: what happens to proprietary segments, before the tables.
        reply: who answers the sender: the ``engine`` as soon as the message is stored, or the first ``destination``.
        listener: the engine's listener by which the message must come in; empty for any.
        optional: a destination that this lab does not have is left out (default routes only).
    """

    name: str
    source: str = ""
    types: tuple[str, ...] = ()
    where: dict[str, str] = field(default_factory=dict)
    to: tuple[str, ...] = ()
    translate: tuple[str, ...] = ()
    normal: Normal = field(default_factory=Normal)
    reply: str = "engine"
    optional: bool = False
    listener: str = ""

    def takes(self, message: Message, sender: str, listener: str = "") -> bool:
        """Tell whether a message goes this way; ``sender`` is the actor that sent it, when it is known."""
        if self.listener and self.listener != listener:
            return False
        if self.source and self.source not in {sender, message["MSH-3.1"]}:
            return False
        if self.types and not {message.type, message.type.partition("^")[0]} & set(self.types):
            return False
        return all(_fits(message.get(place), wanted) for place, wanted in self.where.items())


def _fits(value: str | None, wanted: str) -> bool:
    if value is None or not wanted:
        return (value is None) == (not wanted)
    return fnmatchcase(value, wanted)


DEFAULT: Final = (
    Route("patients", "ehr", ("ADT",), to=("ris", "pacs"), optional=True),
    Route("orders", "ehr", ("ORM", "OMG", "OMI"), to=("ris",), reply="destination", optional=True),
    Route("procedures", "ris", ("OMI",), to=("pacs",), optional=True),
    Route("procedures in 2.3.1", "ris", ("ORM",), {"ZDS-1": "*"}, to=("pacs",), optional=True),
    Route("status in 2.3.1", "ris", ("ORM",), {"ZDS-1": ""}, to=("ehr",), reply="destination", optional=True),
    Route("status", "ris", ("OMG",), to=("ehr",), reply="destination", optional=True),
    Route("noted results", "ehr", ("ORU",), to=("ris",), reply="destination", optional=True),
    Route("appointments", "ris", ("SIU",), to=("ehr",), optional=True),
    Route("reports", "ris", ("ORU", "MDM"), to=("ehr",), optional=True),
    Route("reports dictated", "reader", ("ORU",), to=("ris",), reply="destination", optional=True),
)
"""The hospital's usual ways: RAD-1/12 to RIS and archive, RAD-2 to the RIS, RAD-4/13 to the archive, RAD-3 and reports to the ward."""
