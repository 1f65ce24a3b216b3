"""The EHR as a consumer of the patient index: cross references (ITI-9, ITI-10) and demographics (ITI-21)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput, Refused, RemoteProtocolError
from stepwedge.model.identifiers import ISSUER
from stepwedge.sim.hl7 import Reply
from stepwedge.sim.messages import Envelope
from stepwedge.sim.messages.identity import (
    ERROR,
    Identifier,
    demographics_query,
    identifiers,
    is_notice,
    pix_query,
    read_answer,
)
from stepwedge.sim.objects import patient_number
from stepwedge.sim.store import Send
from stepwedge.wire.hl7 import HL7Error

from .state import Known

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case
    from stepwedge.wire.hl7 import Message

    from .settings import Settings
    from .state import Ehr

KEYS: Final = {
    "family": "@PID.5.1.1",
    "given": "@PID.5.2",
    "birth_date": "@PID.7.1",
    "sex": "@PID.8",
    "id": "@PID.3.1",
}
ANSWERS: Final = 1000
"""Parts of one answer that are asked for before the index is held to be endless."""


@dataclass(frozen=True)
class Desk:
    """Those who look up who somebody is."""

    bench: Bench
    ehr: Ehr
    settings: Settings

    def acts(self) -> dict[str, Callable[[dict[str, Any], Case], Awaitable[dict[str, Any]]]]:
        """Return the words."""
        return {"find_patient": self.find_patient, "cross_reference": self.cross_reference}

    def asks(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        """Return what can be asked: under which identifiers a patient is known here, by the index's notices."""
        return {"known_as": self._known_as}

    async def find_patient(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Ask for everybody who matches, part by part (ITI-21)."""
        keys = {field: str(args[name]) for name, field in KEYS.items() if args.get(name)}
        if not keys:
            raise BadInput("ehr.find_patient", f"one of {', '.join(KEYS)}", "nothing to look for")
        with self.bench.change(self.ehr):
            tag = self.ehr.control()
        people: list[dict[str, Any]] = []
        pointer = ""
        for answers in range(1, ANSWERS + 1):
            with self.bench.change(self.ehr) as change:
                envelope = self._envelope()
                body = demographics_query(
                    envelope, tag, keys, most=int(args.get("most") or 0), pointer=pointer
                )
                send = change.send(Send(self.settings.index, body, control=envelope.control, case=case.id))
            answer = read_answer(await self._answer(send))
            if answer.status == ERROR:
                raise Refused(f"{self.settings.index} would not answer: {answer.text}")
            people += answer.people
            if not (pointer := answer.pointer):
                return {"patients": people, "count": len(people), "answers": answers}
        raise RemoteProtocolError(f"{self.settings.index} goes on after {ANSWERS} answers")

    async def cross_reference(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Ask for the other identifiers of a patient (ITI-9)."""
        value = args["patient"]
        domain = str(value.get("issuer") or ISSUER) if isinstance(value, dict) else ISSUER
        with self.bench.change(self.ehr) as change:
            envelope = self._envelope()
            whose = Identifier(domain, patient_number(value))
            body = pix_query(envelope, envelope.control, whose, args.get("domains") or ())
            send = change.send(Send(self.settings.index, body, control=envelope.control, case=case.id))
        answer = read_answer(await self._answer(send))
        found = [str(one) for one in answer.identifiers]
        return {"identifiers": found, "count": len(found), "status": answer.status}

    def _envelope(self) -> Envelope:
        receiver = self.bench.directory[self.settings.index].application or self.settings.index
        return Envelope(self.bench.application, receiver, self.ehr.control(), self.bench.clock.now())

    async def _answer(self, send: Send) -> bytes:
        delivery = await self.bench.outbox.answer(send, self.settings.within)
        if (
            delivery.reason
        ):  # an index may well say no, and the reason is in its answer; it is nothing to try again
            self.bench.outbox.forget(send.to, send.control)
        if not delivery.reply:
            raise Refused(f"{send.to} gave no answer to {send.control}: {delivery.reason}")
        return delivery.reply

    def _known_as(self, args: dict[str, Any]) -> dict[str, Any]:
        known = self.ehr.known.get(str(args.get("id", "")))
        return {"identifiers": list(known.identifiers)} if known else {}


def hear_notice(ehr: Ehr, message: Message, now: datetime) -> Reply:
    """Take under which identifiers somebody is known now (ITI-10); other corrections of persons are not for an EHR."""
    del now
    if not is_notice(message):
        raise HL7Error(201, "MSH-9.2", "only notices of the patient index are taken (ITI-10)")
    found = identifiers(message)
    for one in found:
        if one.domain == ISSUER:
            ehr.known[one.id] = Known(one.id, tuple(str(each) for each in found if each != one))
    return Reply()
