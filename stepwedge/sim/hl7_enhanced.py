"""Enhanced acknowledgement mode at the door of a simulated system, and on its way out (HL7 2.5.1 section 2.9.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stepwedge.errors import WireError
from stepwedge.wire.hl7 import HL7Error, acknowledgement, parse
from stepwedge.wire.hl7_modes import ACCEPT, enhanced

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.sim.hl7 import Answered
    from stepwedge.wire.hl7 import Message
    from stepwedge.wire.mllp_asyncio import Client

_INTERNAL_ERROR = 207


def answers(
    decided: Answered, message: Message, *, control: str, now: datetime, follows_up: bool = True
) -> Answered:
    """Return a decision with the answers that its message asks for: one of acceptance, one of the application.

    In original mode nothing changes. What was not taken has no application answer: CE and CR say all there is to say.

    The accept acknowledgement has ``control`` as its MSH-10; ``follows_up`` False keeps the application's answer back.
    """
    asked = enhanced(message)
    if asked is None:
        return decided
    taken = decided.code == "AA"
    said = ACCEPT[decided.code]
    accept = b""
    if asked.wants_accept(taken=taken):
        error = None if taken else _repeated(decided.reply)
        accept = acknowledgement(message, said, control=control, now=now, error=error)
    decided = replace(decided, accept=accept, facts=decided.facts | {"accept": said})
    if taken and follows_up and asked.wants_application(well=True):
        return decided
    return replace(decided, reply=b"", code=said)


def _repeated(reply: bytes) -> HL7Error:
    """Return what a refusal says is wrong."""
    told = parse(reply)
    number = told["ERR-3.1"] or told["ERR-1.4.1"]
    return HL7Error(int(number) if number.isdigit() else _INTERNAL_ERROR, "", told["ERR-8"] or told["MSA-3"])


def asks_application(raw: bytes) -> bool:
    """Tell whether a message asks for the application's answer after the accept acknowledgement."""
    asked = enhanced(parse(raw))
    return asked is not None and asked.wants_application(well=True)


async def application(client: Client, raw: bytes, seconds: float) -> tuple[bytes, dict[str, Any]]:
    """Return what the application says after CA (empty: nothing in time) and what the journal is told of it."""
    try:
        return await client.ask_again(raw, seconds), {"accept": "CA"}
    except WireError as trouble:
        return b"", {"accept": "CA", "application": str(trouble)}
