"""Whose number is whose: queries, answers and notices about patient identity (ITI-9, ITI-10, ITI-21, ITI-30)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.model.identifiers import ISSUER
from stepwedge.model.patient import PersonName
from stepwedge.sim.messages.envelope import said
from stepwedge.wire.hl7 import Rep, parse, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stepwedge.sim.messages.envelope import Envelope
    from stepwedge.wire.hl7 import Group, Message
    from stepwedge.wire.hl7_build import Written

PIX_NAME: Final = "IHE PIX Query"
PDQ_NAME: Final = "IHE PDQ Query"
FOUND, NOT_FOUND, ERROR = "OK", "NF", "AE"
"""Query response status, QAK-2 (HL7 table 0208)."""
_NO_NAME: Final = Rep(["", ["", "", "", "", "", "", "S"]])
"""PID-5 where names of several domains could conflict: an empty first repetition, a second of type S (ITI TF-2 3.9.4.2.2.6)."""


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A patient ID and the authority that assigned it (CX-1, CX-4)."""

    domain: str
    id: str

    def written(self) -> list[str]:
        """Return it as CX."""
        return [self.id, "", "", self.domain, "PI"]

    def __str__(self) -> str:
        return f"{self.id}^^^{self.domain}"


def identifiers(message: Group, place: str = "PID-3") -> list[Identifier]:
    """Read every identifier at a place; one without an assigning authority is ours."""
    segment, _, number = place.partition("-")
    found = message.each(segment)
    count = len(found[0].all(number)) if found else 0
    read = (
        Identifier(message[f"{place}[{repetition}].4.1"] or ISSUER, value)
        for repetition in range(1, count + 1)
        if (value := said(message, f"{place}[{repetition}].1"))
    )
    return list(dict.fromkeys(read))


def pix_query(envelope: Envelope, tag: str, whose: Identifier, domains: Iterable[str] = ()) -> bytes:
    """Write QBP^Q23: which identifiers, in these domains or in all, belong to the same person (ITI-9)."""
    wanted = Rep([["", "", "", domain] for domain in domains])
    qpd: Written = ("QPD", {1: PIX_NAME, 2: tag, 3: whose.written(), 4: wanted or ""})
    return envelope.seal("QBP^Q23", [qpd, ("RCP", {1: "I"})])


def demographics_query(
    envelope: Envelope,
    tag: str,
    keys: Mapping[str, str],
    domains: Iterable[str] = (),
    *,
    most: int = 0,
    pointer: str = "",
) -> bytes:
    """Write QBP^Q22: who matches (ITI-21); ``keys`` are QPD-3 fields such as ``@PID.5.1.1``, ``pointer`` goes on."""
    wanted = Rep([["", "", "", domain] for domain in domains])
    asked = Rep([[field, value] for field, value in keys.items()])
    qpd: Written = ("QPD", {1: PDQ_NAME, 2: tag, 3: asked, 8: wanted or ""})
    segments = [qpd, ("RCP", {1: "I", 2: [str(most), "RD"] if most else ""})]
    if pointer:
        segments.append(("DSC", {1: pointer, 2: "I"}))
    return envelope.seal("QBP^Q22", segments)


def cancel_query(envelope: Envelope, tag: str) -> bytes:
    """Write QCN^J01: the rest of an answer is not wanted (HL7 2.5 section 5.4.6)."""
    return envelope.seal("QCN^J01", [("QID", {1: tag, 2: PDQ_NAME})])


def link_message(event: str, first: Identifier, second: Identifier, envelope: Envelope) -> bytes:
    """Write ADT^A24, two identifiers belong to one person, or ADT^A37, they do not (ITI-30)."""
    evn: Written = ("EVN", {1: event, 2: timestamp(envelope.now)})
    pids: list[Written] = [("PID", {3: one.written(), 5: _NO_NAME}) for one in (first, second)]
    return envelope.seal(f"ADT^{event}", [evn, *pids])


def notice(known: Sequence[Identifier], envelope: Envelope) -> bytes:
    """Write ADT^A31 of ITI-10: these are now all identifiers of one person, in the domains the receiver cares for."""
    evn: Written = ("EVN", {1: "A31", 2: timestamp(envelope.now)})
    return envelope.seal("ADT^A31", [evn, cross_reference(known), ("PV1", {1: "1", 2: "N"})])


def is_notice(message: Message) -> bool:
    """Tell an ITI-10 notice from a correction of a person: it names nobody."""
    return not message["PID-5[1].1"] and message["PID-5[2].7"] == "S"


def cross_reference(known: Sequence[Identifier]) -> Written:
    """Return PID with identifiers alone."""
    return "PID", {3: Rep([one.written() for one in known]), 5: _NO_NAME}


def answer_segments(message: Message, status: str, hits: int | None = None) -> list[Written]:
    """Return QAK and the query's own QPD, as every answer begins."""
    query = message.each("QPD")[0]
    qpd: dict[int, str] = {
        number: query.copy(number) for number in range(1, len(query.fields)) if query.written(number)
    }
    return [
        ("QAK", {1: message["QPD-2"], 2: status, 3: message["QPD-1"], 4: "" if hits is None else str(hits)}),
        ("QPD", qpd),
    ]


def query_keys(message: Message) -> list[tuple[int, str, str]]:
    """Read QPD-3 of ITI-21: (repetition, field such as ``PID.5.1.1``, wanted value)."""
    count = len(message.each("QPD")[0].all("3"))
    read = ((n, message[f"QPD-3[{n}].1"], message[f"QPD-3[{n}].2"]) for n in range(1, count + 1))
    return [(n, field.lstrip("@"), value) for n, field, value in read]


def wanted_domains(message: Message, field: str) -> list[str]:
    """Read the domains that are wanted (QPD-4 of ITI-9, QPD-8 of ITI-21); none means all."""
    count = len(message.each("QPD")[0].all(field))
    return [message[f"QPD-{field}[{number}].4.1"] for number in range(1, count + 1)]


@dataclass(frozen=True, slots=True)
class Answered:
    """What RSP^K23 or RSP^K22 says.

    Attributes:
        status: QAK-2: OK, NF or AE.
        where: what an error points at (ERR-2); ``code`` is ERR-3 and ``text`` the reason for a person.
        identifiers: of the one person of RSP^K23.
        people: {name, birth_date, sex, identifiers} of each person of RSP^K22; the name is a DICOM PN value.
        pointer: how to ask for the rest (DSC-1); empty when this was all.
    """

    acknowledged: str
    status: str
    code: str = ""
    where: str = ""
    text: str = ""
    identifiers: tuple[Identifier, ...] = ()
    people: tuple[dict[str, object], ...] = ()
    pointer: str = ""


def read_answer(reply: bytes) -> Answered:
    """Read RSP^K23 or RSP^K22; an answer without QAK is none, and raises RemoteProtocolError."""
    message = parse(reply)
    if not message["QAK-2"]:
        raise RemoteProtocolError(f"{message.type or 'the answer'} has no query response status (QAK-2)")
    groups = message.groups("PID") if "PID" in message else ()
    return Answered(
        message["MSA-1"],
        message["QAK-2"],
        message["ERR-3.1"],
        message["ERR-2"],
        message["ERR-8"],
        tuple(identifiers(groups[0])) if groups else (),
        tuple(_person(group) for group in groups),
        message["DSC-1"],
    )


def _person(group: Group) -> dict[str, object]:
    name = PersonName.from_hl7([group[f"PID-5[1].{part}.1"] for part in range(1, 6)])
    return {
        "name": name.dicom(),
        "birth_date": group["PID-7.1"],
        "sex": group["PID-8"],
        "identifiers": [str(one) for one in identifiers(group)],
    }
