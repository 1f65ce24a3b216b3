"""Orders and scheduled procedures in HL7: ORM, OMG, OMI and their replies (RAD-2, RAD-3, RAD-4, RAD-13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.model.context import NOTHING
from stepwedge.model.order import PRIORITY_TO_HL7
from stepwedge.model.patient import PersonName
from stepwedge.model.procedure import CODING_SCHEME
from stepwedge.sim.messages.context import allergies, observations, of_request
from stepwedge.sim.messages.envelope import day_and_time, said
from stepwedge.sim.messages.patients import pid, visit
from stepwedge.wire.hl7 import HL7Error, parse, timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.model.context import ClinicalContext
    from stepwedge.model.encounter import Encounter
    from stepwedge.model.order import Order
    from stepwedge.model.patient import Patient
    from stepwedge.model.procedure import RequestedProcedure, ScheduledStep
    from stepwedge.sim.messages.envelope import Envelope
    from stepwedge.wire.hl7 import Group, Message
    from stepwedge.wire.hl7_build import Fields, Value, Written

REPLY_KIND: Final = {"ORM^O01": "ORR^O02", "OMG^O19": "ORG^O20", "OMI^O23": "ORI^O24"}
"""Message type of the application reply to each order message."""

_OLD: Final = "2.4"
"""From here on timing stands in TQ1, and imaging orders have messages of their own."""


@dataclass(frozen=True, slots=True)
class Item:
    """What one ORC group says; None where it says nothing, "" where it says *remove* (ITI TF-2 appendix C).

    Attributes:
        control: order control code (ORC-1, HL7 table 0119).
        status: order status (ORC-5, table 0038).
        priority: as written (TQ1-9, ORC-7.6 or OBR-27.6), HL7 table 0485.
        start: scheduled start (TQ1-7, ORC-7.4 or OBR-27.4).
        requested: Requested Procedure ID; ``step`` Scheduled Procedure Step ID with its protocol code and text.
        why: order control code reason (ORC-16).
    """

    control: str
    status: str | None = None
    placer: str | None = None
    filler: str | None = None
    accession: str | None = None
    procedure: str | None = None
    text: str | None = None
    priority: str | None = None
    start: str | None = None
    reason: str | None = None
    alerts: str | None = None
    comments: str | None = None
    provider: str | None = None
    placed: str | None = None
    why: str | None = None
    study: str | None = None
    requested: str | None = None
    step: str | None = None
    step_code: str | None = None
    step_text: str | None = None
    modality: str | None = None
    station: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An acknowledgement, with the order items when it was an application reply."""

    code: str
    text: str
    items: tuple[Item, ...] = ()


def order_message(
    control: str,
    order: Order,
    patient: Patient,
    envelope: Envelope,
    *,
    status: str = "",
    encounter: Encounter | None = None,
    context: ClinicalContext = NOTHING,
    start: str = "",
) -> bytes:
    """Write ORM^O01, OMG^O19, or OMI^O23 where the order says so.

    NW, XO, HD, RL, CA come from the placer (RAD-2); SN, SC, OC from the filler (RAD-3). ``start`` is when an XO wants it done.
    """
    old = envelope.version < _OLD
    timing = _timing(start, order.priority)
    orc = _orc(control, order, status, envelope) | ({7: timing} if old else {})
    obr = _obr(1, order) | of_request(context) | ({27: timing} if old else {})
    segments: list[Written] = [
        pid(patient, envelope.version),
        visit(encounter, context),
        *allergies(context),
        ("ORC", orc),
        *([] if old else [_tq1(start, order.priority)]),
        ("OBR", obr),
        *_notes(order.comments),
        *observations(context, envelope.version),
    ]
    if old or not order.imaging:
        return envelope.seal("ORM^O01" if old else "OMG^O19", segments)
    return envelope.seal("OMI^O23", [*segments, placed_ipc(order)])


def placed_ipc(order: Order) -> Written:
    """Return IPC of an order whose placer issues accession number and study (2.5.1 section 4.5.6.1 to 4.5.6.4).

    IPC-2 and IPC-4 are required but the filler's to give; until it has, the placer's number stands for both.
    """
    return "IPC", {1: order.accession, 2: order.placer, 3: order.study, 4: order.placer}


def _notes(text: str) -> list[Written]:
    """Return one NTE for each line; P is the placer (HL7 table 0105)."""
    return [
        ("NTE", {1: str(number), 2: "P", 3: line}) for number, line in enumerate(text.split("\n"), 1) if text
    ]


def procedure_message(
    control: str,
    status: str,
    order: Order,
    requested: RequestedProcedure,
    steps: Sequence[ScheduledStep],
    patient: Patient,
    envelope: Envelope,
    encounter: Encounter | None = None,
) -> bytes:
    """Write RAD-4 (NW) or RAD-13 (XO, CA): ORM^O01 with ZDS or OMI^O23 with IPC, one ORC group for each step."""
    old = envelope.version < _OLD
    segments: list[Written] = [pid(patient, envelope.version), visit(encounter)]
    for number, step in enumerate(steps, 1):
        orc, obr = _orc(control, order, status, envelope), _obr(number, order)
        obr |= {44: [requested.code, requested.text, CODING_SCHEME]}
        if old:
            timing = _timing(step.start, order.priority)
            # The station has no place in the 2.3.1 form of RAD-4; OBR-21 is agreed among these systems.
            placed = {18: order.accession, 19: requested.id, 20: step.id, 21: step.station, 24: step.modality}
            protocol = [order.procedure, order.text, CODING_SCHEME, step.code, step.text, CODING_SCHEME]
            segments += [("ORC", orc | {7: timing}), ("OBR", obr | placed | {4: protocol, 27: timing})]
        else:
            segments += [
                ("ORC", orc),
                _tq1(step.start, order.priority),
                ("OBR", obr),
                _ipc(order, requested, step),
            ]
    if old:
        segments.append(("ZDS", {1: [requested.study, order.version, "Application", "DICOM"]}))
    return envelope.seal("ORM^O01" if old else "OMI^O23", segments)


def reply_segments(control: str, order: Order, *, imaging: bool = False) -> list[Written]:
    """Return what follows MSA in ORR^O02, ORG^O20 and (``imaging``) ORI^O24: ``control`` is OK, CR, UC or NA (table 0119)."""
    orc: Fields = {1: control, 2: order.placer, 3: order.filler}
    obr: Fields = {
        1: "1",
        2: order.placer,
        3: order.filler,
        4: [order.procedure, order.text, CODING_SCHEME],
        18: order.accession,
    }
    return [("ORC", orc), ("OBR", obr), *([placed_ipc(order)] if imaging else [])]


def confirmation_segments(message: Message) -> list[Written]:
    """Return what follows MSA when the image manager takes RAD-4 or RAD-13: each order, OK, with its IPC (ORI^O24)."""
    segments: list[Written] = []
    for group in message.groups("ORC"):
        segments.append(("ORC", {1: "OK", 2: group.copy("ORC-2"), 3: group.copy("ORC-3")}))
        segments.append(("OBR", {number: group.copy(f"OBR-{number}") for number in (1, 2, 3, 4, 18)}))
        segments += [
            ("IPC", {number: ipc.copy(number) for number in range(1, 10)}) for ipc in group.each("IPC")
        ]
    return segments


def _orc(control: str, order: Order, status: str, envelope: Envelope) -> dict[int, Value]:
    return {
        1: control,
        2: order.placer,
        3: order.filler,
        5: status,
        9: timestamp(envelope.now),
        12: _provider(order.provider),
        16: ["", order.why] if order.why else "",
    }


def _obr(number: int, order: Order) -> dict[int, Value]:
    return {
        1: str(number),
        2: order.placer,
        3: order.filler,
        4: [order.procedure, order.text, CODING_SCHEME],
        13: order.alerts,
        16: _provider(order.provider),
        18: order.accession,
        31: ["", order.reason] if order.reason else "",
    }


def _provider(name: str) -> Value:
    """Return XCN without an identifier."""
    return ["", *PersonName.from_dicom(name).hl7()] if name else ""


def _timing(start: str, priority: str) -> list[str]:
    """Return TQ: quantity, interval, duration, start, end, priority (2.3.1 section 4.4)."""
    return ["", "", "", start, "", PRIORITY_TO_HL7[priority]]


def _tq1(start: str, priority: str) -> Written:
    return "TQ1", {1: "1", 7: start, 9: [PRIORITY_TO_HL7[priority]]}


def _ipc(order: Order, requested: RequestedProcedure, step: ScheduledStep) -> Written:
    """Return IPC (2.5.1 section 4.5.6)."""
    return "IPC", {
        1: order.accession,
        2: requested.id,
        3: requested.study,
        4: step.id,
        5: [step.modality, "", "DCM"],
        6: [step.code, step.text, CODING_SCHEME],
        9: step.station,
    }


def read_items(message: Message) -> list[Item]:
    """Read every ORC group of an order message or reply of either version; an IPC repeated gives an item each."""
    zds = said(message, "ZDS-1.1")
    items: list[Item] = []
    for group in message.groups("ORC"):
        if not (control := group["ORC-1.1"]):
            raise HL7Error(101, "ORC-1", "an order needs an order control code")
        common = _common(group, control)
        ipcs = group.each("IPC")
        items += [_item(group, common, f"IPC[{n}]", zds) for n in range(1, len(ipcs) + 1)] or [
            _item(group, common, "", zds)
        ]
    return items


def _common(group: Group, control: str) -> dict[str, str | None]:
    """Read what stands in ORC, OBR and TQ1, whichever version wrote it."""
    provider = [group[f"OBR-16[1].{number}.1"] for number in range(2, 7)]
    return {
        "control": control,
        "status": said(group, "ORC-5.1"),
        "placer": said(group, "ORC-2.1", "OBR-2.1"),
        "filler": said(group, "ORC-3.1", "OBR-3.1"),
        "accession": said(group, "OBR-18.1"),
        "procedure": said(group, "OBR-44.1", "OBR-4.1"),
        "text": said(group, "OBR-44.2", "OBR-4.2"),
        "priority": said(group, "TQ1-9.1", "ORC-7.6", "OBR-27.6"),
        "start": _start(said(group, "TQ1-7.1", "ORC-7.4", "OBR-27.4")),
        "reason": said(group, "OBR-31.2", "OBR-31.1"),
        "alerts": said(group, "OBR-13.1"),
        "comments": "\n".join(each["3"] for each in group.each("NTE")) if "NTE" in group else None,
        "provider": PersonName.from_hl7(provider).dicom() or None,
        "placed": said(group, "ORC-9.1"),
        "why": said(group, "ORC-16.2", "ORC-16.1"),
    }


def _start(text: str | None) -> str | None:
    return day_and_time(text) if text else text


def _item(group: Group, common: dict[str, str | None], ipc: str, zds: str | None) -> Item:
    """Add the imaging part: from IPC, or from the fields that RAD-4 borrowed for it before IPC existed."""
    if ipc:
        places = {
            "accession": (f"{ipc}-1.1",),
            "requested": (f"{ipc}-2.1",),
            "study": (f"{ipc}-3.1",),
            "step": (f"{ipc}-4.1",),
            "modality": (f"{ipc}-5.1",),
            "step_code": (f"{ipc}-6.1",),
            "step_text": (f"{ipc}-6.2",),
            "station": (f"{ipc}-9",),
        }
    else:
        places = {
            "accession": ("OBR-18.1",),
            "requested": ("OBR-19",),
            "step": ("OBR-20",),
            "station": ("OBR-21",),
            "modality": ("OBR-24",),
            "step_code": ("OBR-4.4",),
            "step_text": ("OBR-4.5",),
        }
    imaging = {name: said(group, *where) for name, where in places.items()}
    if not ipc:
        imaging["study"] = zds
    return Item(**{**common, **{name: value for name, value in imaging.items() if value is not None}})  # type: ignore[arg-type]  # control is a str


def read_answer(raw: bytes) -> Answer:
    """Read an acknowledgement or application reply."""
    message = parse(raw)
    code = message["MSA-1"]
    if not code:
        raise HL7Error(101, "MSA-1", "an answer needs an acknowledgement code", message)
    text = message["MSA-3"] or message["ERR-8"]
    return Answer(code, text, tuple(read_items(message)))
