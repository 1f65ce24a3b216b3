"""What a simulated actor received by HL7."""

from __future__ import annotations

from typing import Final

from stepwedge.actors.words import did_you_mean
from stepwedge.checks.check import Candidate, Look, Parameter, Question, Vocabulary, check, look
from stepwedge.checks.message_view import ENVELOPE, NAMES, MessageView, known
from stepwedge.wire.hl7 import HL7Error

COUNT: Final = Parameter("count", "number", says="how many there must be; any number when left out")

_SAYS: Final = f"{', '.join((*ENVELOPE, *NAMES))}, or a path such as ORC-1 or OBX[2]-5"


def _complaint(name: str) -> str:
    if known(name):
        return ""
    near = did_you_mean(name, (*ENVELOPE, *NAMES))
    return f"{name!r} is no name of a message and no HL7 path{near}"


MESSAGE: Final = Vocabulary(_SAYS, _complaint)


@check(
    "message.received",
    says="the message arrives",
    ihe="RAD-2, RAD-3, RAD-4, RAD-12, RAD-13, RAD-128",
    observes="journal",
    place="at",
    where=MESSAGE,
    is_=MESSAGE,
    takes=(COUNT,),
    fence="hl7",
    tapped=("hl7",),
)
def received(question: Question) -> Look:
    """Look through the HL7 messages of the case that arrived at one simulated actor."""
    candidates = []
    for exchange in question.case.exchanges:
        if (exchange.actor, exchange.direction, exchange.protocol) != (question.at, "in", "hl7"):
            continue
        try:
            view = MessageView.of(exchange)
        except HL7Error:
            continue  # refused by the receiver, and judged by the standing rules
        candidates.append(Candidate(f"#{exchange.number:04} {view.message.type}", view, (exchange.number,)))
    found = look(candidates, question.where, question.is_, what="messages", count=question.args.get("count"))
    return found if candidates else Look(differences=found.differences)
