"""The ward's words about what is already known: context of a patient; orders changed, held, released (RAD-2, RAD-12)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput
from stepwedge.model.context import described
from stepwedge.model.order import PRIORITY_TO_DICOM
from stepwedge.sim.messages import day_and_time
from stepwedge.sim.objects import order_object
from stepwedge.sim.rows import pack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.model.order import Order
    from stepwedge.sim.simulator import Case

    from .acts import Ward


@dataclass(frozen=True)
class Changes:
    """What a ward says later."""

    ward: Ward

    def acts(self) -> dict[str, Callable[[dict[str, Any], Case], Awaitable[dict[str, Any]]]]:
        """Return the words."""
        return {
            "note_context": self.note_context,
            "change_order": self.change_order,
            "hold_order": self.hold_order,
            "release_order": self.release_order,
        }

    async def note_context(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Note allergies, pregnancy, weight and precautions, and tell everybody (RAD-12, ADT^A08 with AL1 and OBX)."""
        ward = self.ward
        patient = ward.patient(args["patient"])
        context = described(ward.ehr.context(patient.id), args, "ehr.note_context")
        with ward.bench.change(ward.ehr) as change:
            ward.ehr.contexts[patient.id] = context
            sends = ward.tell(change, "A08", patient, args, case)
        await ward.heard(sends)
        return {"patient": patient.id, **pack(context)}

    async def change_order(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Change an order (RAD-2 with XO); the filler decides, and what it refuses stays as it was."""
        order = self.ward.order_named(args)
        if (priority := args.get("priority") or order.priority) not in PRIORITY_TO_DICOM:
            raise BadInput("ehr.change_order: priority", f"one of {', '.join(PRIORITY_TO_DICOM)}", priority)
        wanted = replace(
            order,
            priority=priority,
            reason=str(args.get("reason") or order.reason),
            alerts=str(args.get("alerts") or order.alerts),
            comments=str(args.get("comments") or order.comments),
        )
        return await self._ask("XO", wanted, case, start=_start(args))

    async def hold_order(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Put an order on hold (ORC-1 HD, HL7 table 0119)."""
        return await self._ask("HD", self.ward.order_named(args), case)

    async def release_order(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Release an order from hold (ORC-1 RL, HL7 table 0119)."""
        return await self._ask("RL", self.ward.order_named(args), case)

    async def _ask(self, control: str, wanted: Order, case: Case, start: str = "") -> dict[str, Any]:
        """Send one change and keep it when the filler says that it was made (XR)."""
        ward = self.ward
        with ward.bench.change(ward.ehr) as change:
            send = ward.order_sent(change, control, wanted, case, start)
        answer = await ward.answer(send)
        said = answer.items[0].control if answer.items else ""
        if said == "XR":
            with ward.bench.change(ward.ehr):
                now = ward.ehr.orders[wanted.placer]
                ward.ehr.orders[wanted.placer] = replace(
                    now,
                    priority=wanted.priority,
                    reason=wanted.reason,
                    alerts=wanted.alerts,
                    comments=wanted.comments,
                )
        return {**order_object(ward.ehr.orders[wanted.placer]), "control": said, "answer": answer.code}


def _start(args: dict[str, Any]) -> str:
    written = str(args.get("start") or "")
    if written and not (len(written) == len("YYYYMMDDHHMM") and written.isdigit()):
        raise BadInput("ehr.change_order: start", "YYYYMMDDHHMM", written)
    return day_and_time(f"{written}00") if written else ""
