"""Every place where a case's patient, order or images were spoken of, reduced to the same few names.

A *sighting* is what one message, worklist line, performed step, image or answer says. The rules about identity, numbers
and content compare sightings; none of them reads HL7 or DICOM itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from stepwedge.checks.message_view import NAMES, TWINS, MessageView, authority
from stepwedge.model.patient import PersonName
from stepwedge.wire.hl7 import HL7Error, null, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stepwedge.checks.message_view import MessageView as View
    from stepwedge.evidence.exchange import Exchange
    from stepwedge.wire.elements import Elements

_EMPTIED: Final = frozenset({"alerts", "reason"})
"""What an order may take back by HL7's null value; of everything else a null says nothing here."""
WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"
AVAILABILITY: Final = "1.2.840.10008.5.1.4.33"
STUDY_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"

_DAY: Final = len("YYYYMMDD")
_SECOND, _ZONE = len("YYYYMMDDhhmmss"), len("+ZZZZ")
_QUEUED: Final = 60.0
"""Seconds that a message may have waited for its receiver."""
_PATIENT: Final = {
    "PatientID": "patient",
    "IssuerOfPatientID": "issuer",
    "PatientName": "name",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
}
_NUMBERS: Final = {
    "AccessionNumber": "accession",
    "StudyInstanceUID": "study",
    "PlacerOrderNumberImagingServiceRequest": "placer",
    "FillerOrderNumberImagingServiceRequest": "filler",
}
_VISIT: Final = {"AdmissionID": "visit"}
_ANSWERED: Final = frozenset({"control", *_NUMBERS.values()})
_REQUEST: Final = {
    "RequestedProcedureID": "requested",
    "RequestedProcedurePriority": "priority",
    "MedicalAlerts": "alerts",
    "ReasonForTheRequestedProcedure": "reason",
}
_STEP: Final = {
    "ScheduledProcedureStepID": "step",
    "Modality": "modality",
    "ScheduledStationAETitle": "station",
}
REQUIRED: Final[dict[str, frozenset[str]]] = {
    # What must stand there whenever it is known: PS3.4 tables K.6-1, F.7.2-1, C.6-1, C.6-5; RAD-8 for images.
    "worklist": frozenset({"patient", "name", "accession", "study", "requested", "step", "visit"}),
    "mpps": frozenset({"patient", "name", "accession", "study"}),
    "image": frozenset({"patient", "name", "birth_date", "sex", "accession", "study"}),
    "study": frozenset({"patient", "name", "accession", "study"}),
    "report": frozenset({"patient", "accession"}),
    "schedule": frozenset({"patient", "name", "accession", "study"}),
}
PRIORITY_IN_DICOM: Final = {
    # HL7 table 0485 to (0040,1003); the HL7 field left out means routine.
    "S": "STAT",
    "A": "HIGH",
    "P": "HIGH",
    "C": "HIGH",
    "T": "MEDIUM",
    "R": "ROUTINE",
    "": "ROUTINE",
}


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one place says.

    Attributes:
        label: where, for reading: ``#0012 C-STORE ct → pacs``.
        at: when it was said, seconds since 1970.
        source: the actor that says it.
        kind: ``patient order own order reply schedule status appointment report worklist mpps image study``.
        values: names of :mod:`stepwedge.checks.message_view`; a name that is missing was not said, an empty value was.
        final: it was read back at the end, so it must say what holds then.
        steps: (Requested Procedure ID, Scheduled Procedure Step ID) pairs an image or performed step refers to.
        uid: MPPS or image SOP Instance UID, or the message control ID.
        twins: where one message writes a number in two fields, what they say.
        raw: the data set, where it is one.
        written: when a message says that it was written (MSH-7), if that was before it was said; else 0.
    """

    label: str
    at: float
    source: str
    kind: str
    values: Mapping[str, str]
    final: bool = False
    steps: tuple[tuple[str, str], ...] = ()
    uid: str = ""
    twins: Mapping[str, list[str]] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    written: float = 0.0

    def __getitem__(self, name: str) -> str:
        """Return a value, empty when it was not said."""
        return self.values.get(name) or ""


def of_exchanges(exchanges: Iterable[Exchange]) -> list[Sighting]:
    """Return the sightings of a case in time order; what two observers saw counts once."""
    from stepwedge.checks.rules.sightings_fhir import of_fhir

    found: list[Sighting] = []
    for exchange in once(exchanges):
        if exchange.protocol == "hl7":
            found += _of_hl7(exchange)
        elif exchange.protocol == "dimse":
            found += _of_dimse(exchange)
        elif exchange.protocol == "web":
            found += of_fhir(exchange)
    return sorted(found, key=lambda sighting: sighting.at)


def once(exchanges: Iterable[Exchange]) -> Iterator[Exchange]:
    """Leave out the receiver's view of an exchange whose sender's view is there too."""
    sent: Counter[tuple[str, ...]] = Counter()
    everything = list(exchanges)
    for exchange in everything:
        if exchange.direction == "out" and exchange.protocol != "act":
            sent[_identity(exchange)] += 1
    for exchange in everything:
        if exchange.direction == "in" and exchange.protocol != "act":
            mine = _identity(exchange)
            if sent[mine]:
                sent[mine] -= 1
                continue
        yield exchange


def _identity(exchange: Exchange) -> tuple[str, ...]:
    """Return what both observers of one exchange agree on."""
    sender, receiver = between(exchange)
    if (
        exchange.protocol == "hl7"
    ):  # the receiver too: a relay hands on what it was given under the same control ID
        return ("hl7", exchange.kind, sender, receiver, *exchange.keys.get("control", ()))
    keys = (f"{kind}={value}" for kind, values in sorted(exchange.keys.items()) for value in sorted(values))
    return (exchange.protocol, exchange.kind, sender, exchange.outcome, *keys)


def relayed(exchange: Exchange) -> dict[str, Any]:
    """Return what a relay says of a message it handed on: ``for`` whom, ``of`` which control ID, what it ``changed`` why."""
    told = exchange.facts.get("relay") if exchange.direction == "out" else None
    return told if isinstance(told, dict) else {}


def between(exchange: Exchange) -> tuple[str, str]:
    """Return who asked and who was asked; a relayed message is still its sender's, as MSH-3 says."""
    ends = (str(relayed(exchange).get("for") or exchange.actor), exchange.peer)
    return ends if exchange.direction == "out" else (ends[1], ends[0])


def labelled(exchange: Exchange) -> str:
    """Return how texts name an exchange."""
    asker, asked = between(exchange)
    return f"#{exchange.number:04} {exchange.kind} {asker} → {asked}"


def _of_hl7(exchange: Exchange) -> Iterator[Sighting]:
    asker, asked = between(exchange)
    label = labelled(exchange)
    try:
        message = parse(exchange.request.read())
    except HL7Error:
        return
    kind = _message_kind(message.type, MessageView(message))
    for view in MessageView(message).steps() or [MessageView(message)]:
        twins = {name: view.twins(name) for name in TWINS}
        yield Sighting(
            label,
            exchange.at,
            asker,
            kind,
            _values(view),
            uid=message.control,
            twins=twins,
            written=_written(message["MSH-7.1"], exchange.at),
        )
    if kind not in {"order", "own order"} or not exchange.response.size:
        return
    try:
        answer = parse(exchange.response.read())
    except HL7Error:
        return
    for view in MessageView(answer).steps():
        values = {name: value for name, value in _values(view).items() if name in _ANSWERED}
        yield Sighting(f"{label}, answer", exchange.at + exchange.took, asked, "reply", values)


def _written(told: str, sent: float) -> float:
    """Return when a message that waited in a queue was written: the end of the second that MSH-7 names; 0 when it did not wait.

    Who says that it waited for longer than a minute has a wrong clock.
    """
    zone = told[-_ZONE:] if told[-_ZONE:][:1] in {"+", "-"} else ""
    try:
        found = datetime.strptime(told[:_SECOND] + zone, f"%Y%m%d%H%M%S{'%z' if zone else ''}")  # noqa: DTZ007 - without a zone it is the house's own
    except ValueError:
        return 0.0
    at = found.astimezone().timestamp() + 1.0
    return at if sent - _QUEUED <= at < sent else 0.0


def _message_kind(kind: str, view: View) -> str:
    """Sort a message by what it is about; RAD-3 and RAD-2 look alike but for ORC-1 (table 0119)."""
    if kind.startswith("ADT"):
        return "patient"
    if kind.startswith("ORU"):
        return "report"
    if kind.startswith("SIU"):
        return "appointment"
    control = view.get("control")
    # OMI^O23 is RAD-4 and RAD-13 with an order status (ORC-5), and a placer order without.
    if "ZDS-1" in view or (kind.startswith("OMI") and view.get("status")):
        return "schedule"
    if control == "SN":
        return "own order"
    return "order" if control in {"NW", "CA", "XO", "HD", "RL"} else "status"


def day(written: str) -> str:
    """Return the day of an HL7 time as DICOM can say it; what is known in part is no day (PS3.5, DA)."""
    return written[:_DAY] if len(written) >= _DAY else ""


def _values(view: View) -> dict[str, str]:
    values = {
        name: str(view[name])
        for name in NAMES
        if view.get(name) is not None and (view[name] != null or name in _EMPTIED)
    }
    if "priority" in values or view.message.type.startswith(("ORM", "OMG", "OMI")):
        values["priority"] = PRIORITY_IN_DICOM.get(values.get("priority", ""), values.get("priority", ""))
    if values.get("sex") == "U":
        values["sex"] = ""
    if "birth_date" in values:
        values["birth_date"] = day(values["birth_date"])
    issuer = authority(view.message, "PID-3")
    return {**values, "issuer": issuer} if issuer else values


def _of_dimse(exchange: Exchange) -> Iterator[Sighting]:
    asker, asked = between(exchange)
    label, facts, at = labelled(exchange), exchange.facts, exchange.at
    if exchange.kind == "C-FIND":
        kind = {WORKLIST_FIND: "worklist", STUDY_FIND: "study"}.get(str(facts.get("model")))
        level = (facts.get("identifier") or {}).get("QueryRetrieveLevel", "STUDY")
        if kind and level == "STUDY":
            for number, answer in enumerate(facts.get("answers") or [], 1):
                yield of_answer(f"{label}, answer {number}", at, asked, kind, answer)
    elif (
        exchange.kind == "N-CREATE" and exchange.outcome == "0000" and facts.get("sop_class") != AVAILABILITY
    ):
        yield of_mpps(label, at, asker, facts.get("identifier") or {}, str(facts.get("sop") or ""))
    elif exchange.kind == "C-STORE" and "dataset" in facts:
        yield of_image(label, at, asker, facts["dataset"]["header"])


def of_answer(
    label: str, at: float, source: str, kind: str, answer: Elements, *, final: bool = False
) -> Sighting:
    """Return what one worklist entry or study answer says."""
    values = _read(answer, {**_PATIENT, **_NUMBERS, **_REQUEST, **_VISIT})
    if kind == "worklist":
        values |= _scheduled(answer)
    return Sighting(label, at, source, kind, values, final, raw=answer)


def _scheduled(answer: Elements) -> dict[str, str]:
    """Return what the one Scheduled Procedure Step item and the requested procedure code say."""
    step: Elements = next(iter(answer.get("ScheduledProcedureStepSequence") or []), {})
    values = _read(step, _STEP)
    if "ScheduledProcedureStepStartDate" in step:
        clock = str(step.get("ScheduledProcedureStepStartTime") or "").split(".")[0]
        values["start"] = f"{step['ScheduledProcedureStepStartDate']}{clock}"
    for name, owner, sequence in (
        ("protocol", step, "ScheduledProtocolCodeSequence"),
        ("procedure", answer, "RequestedProcedureCodeSequence"),
    ):
        if sequence in owner:
            code: Elements = next(iter(owner[sequence] or []), {})
            values[name] = str(code.get("CodeValue") or "")
    return values


def of_mpps(label: str, at: float, source: str, attributes: Elements, uid: str) -> Sighting:
    """Return what a performed procedure step says (PS3.4 table F.7.2-1); its order stands in the sequence items."""
    items: list[Elements] = attributes.get("ScheduledStepAttributesSequence") or []
    values = {**_read(attributes, _PATIENT), **_read(items[0] if items else {}, {**_NUMBERS, **_REQUEST})}
    return Sighting(label, at, source, "mpps", values, steps=_pairs(items), uid=uid, raw=attributes)


def of_image(label: str, at: float, source: str, header: Elements, *, final: bool = False) -> Sighting:
    """Return what the header of an image says."""
    values = _read(header, {**_PATIENT, **_NUMBERS, **_VISIT})
    steps = _pairs(header.get("RequestAttributesSequence") or [])
    uid = str(header.get("SOPInstanceUID") or "")
    return Sighting(label, at, source, "image", values, final, steps=steps, uid=uid, raw=header)


def _pairs(items: Iterable[Elements]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(i.get("RequestedProcedureID") or ""), str(i.get("ScheduledProcedureStepID") or ""))
        for i in items
    )


def _read(elements: Elements, names: Mapping[str, str]) -> dict[str, str]:
    return {name: str(elements[keyword] or "") for keyword, name in names.items() if keyword in elements}


def same_name(left: str, right: str) -> bool:
    """Tell whether two PN values name one person: all five parts, code point by code point."""
    return PersonName.from_dicom(left) == PersonName.from_dicom(right)
