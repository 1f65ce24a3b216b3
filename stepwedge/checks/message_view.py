"""An HL7 message by names that hold across versions, read independently of the simulators that wrote it.

``type accession control status patient text`` mean the same in ORM^O01 (2.3.1) and OMI^O23 (2.5.1), although they stand
in different fields; where a name is not enough, a path (``ORC-1``, ``OBX[2]-5``) reads the field itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from stepwedge.model.identifiers import ISSUER
from stepwedge.model.patient import PersonName
from stepwedge.wire import hl7

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stepwedge.evidence.exchange import Exchange

HL7_PATH: Final = re.compile(r"[A-Z][A-Z0-9]{2}(\[[1-9]\d*\])?-[1-9]\d*(\[[1-9]\d*\])?(\.[1-9]\d*){0,2}")

_DICOM_STUDY: Final = "113014"
"""DCM *DICOM Study*: the OBX that carries the Study Instance UID of a report (RAD-28)."""
_TEXTS: Final = frozenset({"TX", "FT", "ST"})


def _first(*places: str) -> Callable[[hl7.Group], str | None]:
    """Read the first valued of several places; HL7's null stays as it is written."""

    def read(message: hl7.Group) -> str | None:
        return next((value for place in places if (value := message.get(place)) is not None), None)

    return read


def identifier(message: hl7.Group, field: str) -> str | None:
    """Return the identifier that our authority assigned, else the first (CX-1 and CX-4; 2.5.1 section 2.A.14)."""
    return _chosen(message, field)[0]


def authority(message: hl7.Group, field: str) -> str:
    """Return who assigned the identifier that :func:`identifier` returns; empty when that is not said."""
    return _chosen(message, field)[1]


def _chosen(message: hl7.Group, field: str) -> tuple[str | None, str]:
    segment, _, number = field.partition("-")
    given: list[tuple[str | None, str]] = []
    for owner in message.each(segment)[:1]:
        for repetition in range(1, len(owner.all(number)) + 1):
            value = owner.get(f"{number}[{repetition}].1")
            if value is not None:
                given.append((value, owner[f"{number}[{repetition}].4.1"]))
    ours = [one for one in given if one[1] == ISSUER]
    return next(iter([*ours, *given]), (None, ""))


def _name(message: hl7.Group) -> str | None:
    """Return PID-5 as a DICOM PN: HL7 puts the suffix fourth and the prefix fifth, DICOM the other way round."""
    for pid in message.each("PID")[:1]:
        places = [f"5[{at}]" for at in range(1, len(pid.all("5")) + 1)]
        return (
            PersonName.represented_as(
                (pid[f"{place}.8.1"], PersonName.from_hl7([pid[f"{place}.{part}.1"] for part in range(1, 6)]))
                for place in places
            ).dicom()
            or None
        )
    return None


def _moment(message: hl7.Group) -> str | None:
    """Return the scheduled start without fraction and offset."""
    found = _first("TQ1-7.1", "ORC-7.4", "OBR-27.4", "SCH-11.4")(message)
    return re.split(r"[.+-]", found)[0] if found else found


def _study(message: hl7.Group) -> str | None:
    carried = (each["5.1"] for each in message.each("OBX") if each["3.1.1"] == _DICOM_STUDY)
    return _first("IPC-3.1", "ZDS-1.1")(message) or next(carried, None)


def _text(message: hl7.Group) -> str | None:
    """Return the narrative of a report, repetitions and observations joined by a newline."""
    lines = [line for each in message.each("OBX") if each["2"] in _TEXTS for line in each.lines("5")]
    return "\n".join(lines) if any(lines) else None


def _code(message: hl7.Group) -> str | None:
    """Return the requested procedure: OBR-44 where the filler says it apart from the order's OBR-4."""
    return _first("OBR-44.1", "OBR-4.1")(message)


def _provider(message: hl7.Group) -> str | None:
    """Return OBR-16 as a DICOM PN: XCN has the identifier before the name (2.5.1 section 2.A.88)."""
    parts = [(_first(f"OBR-16.{number}")(message) or "") for number in range(2, 7)]
    return PersonName.from_hl7(parts).dicom() or None


def _author(message: hl7.Group) -> str | None:
    """Return OBR-32 as a DICOM PN: NDL has the name as parts of its first component (2.5.1 section 2.A.47)."""
    parts = [(_first(f"OBR-32.1.{number}")(message) or "") for number in range(2, 7)]
    return PersonName.from_hl7(parts).dicom() or None


NAMES: Final[dict[str, tuple[str, Callable[[hl7.Group], str | None]]]] = {
    "control": ("order control (ORC-1, table 0119)", _first("ORC-1")),
    "status": (
        "order status (ORC-5, table 0038), result status (OBR-25, table 0123), filler status (SCH-25, table 0278)",
        _first("ORC-5", "OBR-25", "SCH-25.1"),
    ),
    "patient": ("patient ID of our authority (PID-3)", lambda message: identifier(message, "PID-3")),
    "prior": ("patient ID that is merged away (MRG-1)", lambda message: identifier(message, "MRG-1")),
    "name": ("patient's name as a DICOM PN (PID-5)", _name),
    "birth_date": ("birth date (PID-7)", _first("PID-7.1")),
    "sex": ("sex (PID-8)", _first("PID-8.1")),
    "placer": (
        "placer order number (ORC-2, OBR-2, SCH-26, SCH-1)",
        _first("ORC-2.1", "OBR-2.1", "SCH-26.1", "SCH-1.1"),
    ),
    "filler": ("filler order number (ORC-3, OBR-3, SCH-27)", _first("ORC-3.1", "OBR-3.1", "SCH-27.1")),
    "accession": ("accession number (IPC-1, OBR-18)", _first("IPC-1.1", "OBR-18.1")),
    "study": ("Study Instance UID (IPC-3, ZDS-1, OBX 113014)", _study),
    "requested": ("Requested Procedure ID (IPC-2, OBR-19)", _first("IPC-2.1", "OBR-19")),
    "step": ("Scheduled Procedure Step ID (IPC-4, OBR-20)", _first("IPC-4.1", "OBR-20")),
    "procedure": ("procedure code (OBR-44, OBR-4)", _code),
    "protocol": ("protocol code of the step (IPC-6, OBR-4.4)", _first("IPC-6.1", "OBR-4.4")),
    "modality": ("modality (IPC-5, OBR-24)", _first("IPC-5.1", "OBR-24")),
    "station": (
        "AE title of the scheduled station (IPC-9, OBR-21, AIL-3)",
        _first("IPC-9", "OBR-21", "AIL-3.1"),
    ),
    "start": ("scheduled start (TQ1-7, ORC-7.4, OBR-27.4, SCH-11)", _moment),
    "priority": ("priority (TQ1-9, ORC-7.6, OBR-27.6, table 0485)", _first("TQ1-9.1", "ORC-7.6", "OBR-27.6")),
    "visit": ("visit number (PV1-19)", _first("PV1-19.1")),
    "alerts": ("danger code (OBR-13)", _first("OBR-13.1")),
    "provider": ("ordering physician as a DICOM PN (OBR-16)", _provider),
    "author": ("who interpreted the images, as a DICOM PN (OBR-32)", _author),
    "reported": ("when the report was signed (OBR-22)", _first("OBR-22.1")),
    "reason": ("reason for the study (OBR-31)", _first("OBR-31.2", "OBR-31.1")),
    "text": ("report text (OBX-5)", _text),
}
TWINS: Final = {
    # Fields that carry the same number: who reads the one must find what the other says.
    "placer": ("ORC-2.1", "OBR-2.1"),
    "filler": ("ORC-3.1", "OBR-3.1"),
    "accession": ("IPC-1.1", "OBR-18.1"),
}
_SHARED: Final = frozenset({"patient", "prior", "name", "birth_date", "sex", "study", "visit"})
ENVELOPE: Final = {
    "type": "message type and trigger (MSH-9)",
    "version": "HL7 version (MSH-12)",
    "charset": "character set (MSH-18)",
    "id": "message control ID (MSH-10)",
}


class MessageView(Mapping[str, Any]):
    """One message, or one order group of it, by names and paths."""

    __slots__ = ("_group", "message")

    def __init__(self, message: hl7.Message, group: hl7.Group | None = None) -> None:
        self.message = message
        self._group: hl7.Group = message if group is None else group

    @classmethod
    def of(cls, exchange: Exchange) -> MessageView:
        """Open the request of an HL7 exchange; raises ``HL7Error`` when it cannot be read."""
        return cls(hl7.parse(exchange.request.read()))

    def __getitem__(self, name: str) -> Any:
        """Return the value of a name or a path; raises ``KeyError`` when it is not valued."""
        if name in ENVELOPE:
            return getattr(self.message, "control" if name == "id" else name)
        if name in NAMES:
            value = self._read(name)
        elif HL7_PATH.fullmatch(name):
            value = self._group.get(name)
        else:
            raise KeyError(name)
        if value is None:
            raise KeyError(name)
        return value

    def _read(self, name: str) -> str | None:
        """Read from the order group; what PID, MRG and ZDS say stands outside the groups and is for all of them."""
        read = NAMES[name][1]
        found = read(self._group)
        return read(self.message) if found is None and name in _SHARED else found

    def __iter__(self) -> Iterator[str]:
        yield from ENVELOPE
        yield from (name for name in NAMES if self._read(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<{self.message.type} {self.message.control}>"

    def twins(self, name: str) -> list[str]:
        """Return every different value that the fields of one number carry."""
        values = (self._group.get(place) for place in TWINS.get(name, ()))
        return list(dict.fromkeys(value for value in values if value is not None))

    def steps(self) -> list[MessageView]:
        """Return one view for each scheduled step: for each ORC group, and for each IPC in it."""
        groups = self.message.groups("ORC")
        return [MessageView(self.message, part) for group in groups for part in _steps(group)]


def _steps(group: hl7.Group) -> list[hl7.Group]:
    """Cut an order group that holds several IPC segments into one group for each."""
    ipcs = group.each("IPC")
    if len(ipcs) < 2:  # noqa: PLR2004 - one or none needs no cutting
        return [group]
    shared = [segment for segment in group.segments if segment.name != "IPC"]
    return [hl7.Group([*shared, ipc], group.separators) for ipc in ipcs]


def known(name: str) -> bool:
    """Tell whether a scenario may use this name or path."""
    return name in NAMES or name in ENVELOPE or HL7_PATH.fullmatch(name) is not None
