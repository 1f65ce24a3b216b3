"""Which exchanges are auditable, as which event of PS3.15 A.5.3, and what the audit message says about them. Pure.

What nobody decided (a lost link, a time-out, a garbled answer) did not happen to anybody's data and is tried again; it is
audited once it is decided.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.wire import audit, status
from stepwedge.wire.audit import DEMOGRAPHICS_QUERY, PIX_QUERY, Code, Contents, Object, Participant
from stepwedge.wire.hl7 import HL7Error, parse
from stepwedge.wire.services import STUDY_FIND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.evidence.exchange import Exchange

BEGIN, ACCESSED, TRANSFERRED, DELETED = "110102", "110103", "110104", "110105"
EXPORT, IMPORT = "110106", "110107"
ORDER, PATIENT, PROCEDURE, QUERY, ALERT = "110109", "110110", "110111", "110112", "110113"
UNDECIDED: Final = frozenset({"", "lost", "timeout", "garbled", "protocol"})
REMEMBERED: Final = 20_000
"""Studies, steps and orders whose patient is remembered, for exchanges that do not name one."""

_DIMSE: Final = {
    "C-STORE": TRANSFERRED,
    "C-FIND": QUERY,
    "C-MOVE": BEGIN,
    "C-GET": BEGIN,
    "N-CREATE": PROCEDURE,
    "N-SET": PROCEDURE,
}
_WIRE: Final = frozenset({"dimse", "hl7", "web"})
_NEW_PATIENT: Final = frozenset({"A01", "A04", "A05", "A28"})
_ORDERS: Final = frozenset({"ORM", "OMG", "OMI"})
_PROCEDURES: Final = frozenset({"SIU", "ORU", "MDM"})
_QUESTIONS: Final = {"QBP^Q23": PIX_QUERY, "QBP^Q22": DEMOGRAPHICS_QUERY}
_ENDED: Final = frozenset({"CA", "OC", "DC", "CR", "S15", "S26"})
_SEARCHES: Final = frozenset({"studies", "series", "instances"})


@dataclass(frozen=True, slots=True)
class Deed:
    """What an exchange was: the EventID, the EventActionCode, whether the data went to who asked, and the EventTypeCodes."""

    event: str
    action: str
    fetched: bool = False
    types: tuple[Code, ...] = ()


_MEDIA: Final = {"export_images": Deed(EXPORT, "R"), "import_media": Deed(IMPORT, "C")}


def deed(exchange: Exchange, role: str = "") -> Deed | None:
    """Return what an exchange was, None when it is not auditable; ``role`` is what its observer plays."""
    if exchange.outcome in UNDECIDED:
        return None
    if exchange.outcome == "refused" and exchange.protocol in _WIRE:
        return Deed(ALERT, "E")  # a node turned away, in TLS or by the protocol above it (ITI-19)
    if exchange.protocol == "dimse":
        return _of_dimse(exchange)
    if exchange.protocol == "hl7":
        return _of_hl7(exchange)
    if exchange.protocol == "web":
        return _of_web(exchange)
    return _of_act(exchange, role) if exchange.protocol == "act" else None


def _of_act(exchange: Exchange, role: str) -> Deed | None:
    """Return what a person did at the system itself: opened images, or deleted them."""
    if role == "reader" and exchange.kind in {"retrieve", "open_study"}:
        return Deed(ACCESSED, "R")
    if exchange.kind in _MEDIA:
        return _MEDIA[exchange.kind]
    if exchange.kind == "delete_study":
        return Deed(DELETED, "D")
    if exchange.kind == "apply_retention":
        deleted = (exchange.facts.get("result") or {}).get("count")
        return Deed(DELETED, "D") if deleted or exchange.outcome != "passed" else None
    if exchange.kind == "delete_images":
        result = exchange.facts.get("result") or {}
        if exchange.outcome == "passed" and not result.get("deleted"):
            return None  # everything was kept
        return Deed(ACCESSED if result.get("kept") else DELETED, "D")
    return None


def _of_dimse(exchange: Exchange) -> Deed | None:
    event = _DIMSE.get(exchange.kind)
    inward = exchange.direction == "in"
    if event == TRANSFERRED:
        return Deed(event, "C" if inward else "R")  # A.5.3.7: who is not the receiver says R
    if event == PROCEDURE:
        return Deed(event, "C" if exchange.kind == "N-CREATE" else "U")
    return Deed(event, "E", fetched=event in {BEGIN, QUERY}) if event else None


def _of_hl7(exchange: Exchange) -> Deed | None:
    code, _, trigger = exchange.kind.partition("^")
    trigger = trigger.partition("^")[0]
    if asked := _QUESTIONS.get(f"{code}^{trigger}"):
        return Deed(QUERY, "E", types=(asked,))
    if code == "ADT":
        return Deed(PATIENT, "C" if trigger in _NEW_PATIENT else "U")
    if code in _PROCEDURES:
        return Deed(PROCEDURE, "C" if trigger == "S12" else "D" if trigger in _ENDED else "U")
    if code not in _ORDERS:
        return None
    raw = exchange.request.data
    scheduled = code == "OMI" or b"\rZDS|" in raw or b"\rIPC|" in raw  # RAD-4, RAD-13
    try:
        control = parse(raw)["ORC-1"] if raw else ""
    except HL7Error:
        control = ""
    action = "C" if control == "NW" else "D" if control in _ENDED else "U"
    return Deed(PROCEDURE if scheduled else ORDER, action)


def _of_web(exchange: Exchange) -> Deed | None:
    method, _, path = exchange.kind.partition(" ")
    parts = path.strip("/").split("/")
    if parts[0] not in _SEARCHES:
        return None
    if method == "POST":
        return Deed(TRANSFERRED, "C" if exchange.direction == "in" else "R")
    if method != "GET":
        return None
    if parts[-1] in _SEARCHES:
        return Deed(QUERY, "E", fetched=True)
    return Deed(TRANSFERRED, "R", fetched=True)


def outcome(exchange: Exchange) -> int:
    """Return the EventOutcomeIndicator of a decided exchange; a partial success counts as a failure (A.5.2)."""
    said = exchange.outcome
    if exchange.protocol == "hl7":
        good = said in {"AA", "CA"}
    elif exchange.protocol == "web":
        good = said.startswith("2") and said != "202"
    elif exchange.protocol == "dimse":
        decided = len(said) == 4 and all(sign in "0123456789ABCDEF" for sign in said)  # noqa: PLR2004 - hex digits
        good = decided and status.category(exchange.kind, int(said, 16)) in {"success", "warning"}
    else:
        good = said == "passed"
    return audit.SUCCESS if good else audit.MINOR


@dataclass(slots=True)
class Memory:
    """Whose study, performed step and order it is, as far as exchanges told; for those that name no patient."""

    _whose: OrderedDict[tuple[str, str], dict[str, str]] = field(default_factory=OrderedDict)

    def learn(self, exchange: Exchange) -> None:
        """Take over what one exchange says about one patient, and each answer of a query about its own."""
        self._take(exchange.keys)
        for answer in exchange.facts.get("answers") or ():
            if isinstance(answer, dict) and (patient := answer.get("PatientID")):
                study = [
                    value for value in [answer.get("StudyInstanceUID")] if isinstance(value, str) and value
                ]
                self._take({"patient": [str(patient)], "study": study})

    def _take(self, keys: dict[str, list[str]]) -> None:
        patients, studies = keys.get("patient", []), keys.get("study", [])
        if len(patients) != 1:
            return
        for kind in ("study", "mpps", "accession"):
            for value in keys.get(kind, ()):
                known = self._whose.setdefault((kind, value), {})
                known["patient"] = patients[0]
                if kind != "study" and len(studies) == 1:
                    known["study"] = studies[0]
                self._whose.move_to_end((kind, value))
        while len(self._whose) > REMEMBERED:
            self._whose.popitem(last=False)

    def completed(self, keys: dict[str, list[str]]) -> tuple[list[str], list[str]]:
        """Return the patients and studies an exchange with these keys is about."""
        patients, studies = list(keys.get("patient", ())), list(keys.get("study", ()))
        for kind in ("study", "mpps", "accession"):
            for value in keys.get(kind, ()) if not patients or not studies else ():
                known = self._whose.get((kind, value), {})
                if not patients and "patient" in known:
                    patients.append(known["patient"])
                if not studies and "study" in known:
                    studies.append(known["study"])
        return patients, studies


def participants(exchange: Exchange, done: Deed, own: str, other: str) -> tuple[Participant, ...]:
    """Return who asked whom, and which way the data went; ``own`` and ``other`` are used where the exchange tells nobody."""
    ours, theirs = _users(exchange, own, other)
    asked = exchange.direction == "out"
    giving = not asked if done.event in {BEGIN, TRANSFERRED} and done.fetched else asked
    roles = (
        (audit.SOURCE_ROLE, audit.DESTINATION_ROLE) if giving else (audit.DESTINATION_ROLE, audit.SOURCE_ROLE)
    )
    both = [
        Participant(ours, asked, (roles[0],), address="127.0.0.1"),
        Participant(theirs, not asked, (roles[1],), address="127.0.0.1"),
    ]
    if done.event in {EXPORT, IMPORT}:
        return _with_media(exchange, done.event, ours)
    if exchange.protocol == "act":
        return (Participant(ours, requestor=True),)
    mover = str(exchange.facts.get("command", {}).get("MoveDestination", "")).strip()
    if mover:
        asking = ours if asked else theirs
        source = theirs if asked else ours
        both = [
            Participant(source, roles=(audit.SOURCE_ROLE,), address="127.0.0.1"),
            Participant(mover, mover == asking, (audit.DESTINATION_ROLE,), address="127.0.0.1"),
            *([] if mover == asking else [Participant(asking, requestor=True, address="127.0.0.1")]),
        ]
    return tuple(both)


def _with_media(exchange: Exchange, event: str, own: str) -> tuple[Participant, ...]:
    """Return who wrote or read a medium, and the medium (A.5.3.4, A.5.3.5; the example of PS3.17 WW.3)."""
    told = exchange.facts
    given = (told.get("result") or {}).get("media") or (told.get("args") or {}).get("media") or "media"
    uri = str(given.get("media", "media") if isinstance(given, dict) else given)
    process, medium = (
        ((audit.SOURCE_ROLE, audit.APPLICATION_ROLE), (audit.DESTINATION_ROLE, audit.DESTINATION_MEDIA))
        if event == EXPORT
        else ((audit.DESTINATION_ROLE, audit.APPLICATION_ROLE), (audit.SOURCE_ROLE, audit.SOURCE_MEDIA))
    )
    return (
        Participant(own, requestor=True, roles=process, address="127.0.0.1"),
        Participant(uri, roles=medium, media=audit.MEDIA_URI),
    )


def _users(exchange: Exchange, own: str, other: str) -> tuple[str, str]:
    """Return our and the peer's UserID: AE titles, or ``facility|application`` of HL7 (ITI TF-2, ATNA tables)."""
    facts = exchange.facts
    if exchange.protocol == "dimse" and "calling" in facts:
        pair = (str(facts["calling"]), str(facts["called"]))
    elif exchange.protocol == "hl7" and exchange.request.data:
        try:
            header = parse(exchange.request.data).header
        except HL7Error:
            return own, other
        pair = (
            f"{header.heads(4)[0]}|{header.heads(3)[0]}",
            f"{header.heads(6)[0]}|{header.heads(5)[0]}",
        )
    elif exchange.protocol == "web" and exchange.direction == "in" and facts.get("user"):
        return own, str(facts["user"])  # whose token it was, a person's or a program's
    else:
        return own, other
    ours_first = exchange.direction == "out" or (exchange.protocol == "dimse" and pair[0] == own)
    return pair if ours_first else (pair[1], pair[0])


def objects(
    exchange: Exchange, done: Deed, patients: Iterable[str], studies: Iterable[str]
) -> tuple[Object, ...]:
    """Return what the exchange was about: studies and patients, or the query."""
    if done.event == QUERY and done.types:
        found = (Object(one, audit.PATIENT_NUMBER, "1", "1") for one in dict.fromkeys(patients))
        return (_question(exchange, done.types[0]), *found)
    if done.event == QUERY:
        return (_query(exchange),)
    keys = exchange.keys
    mpps, accessions = tuple(keys.get("mpps", ())), tuple(keys.get("accession", ()))
    sops = tuple(keys.get("sop", ()))
    sop_class = str(exchange.facts.get("sop_class") or exchange.facts.get("model") or "")
    stored = ((sop_class, len(sops), sops),) if done.event in {TRANSFERRED, EXPORT, IMPORT} and sops else ()
    held = Contents(mpps, accessions, stored)
    about: list[Object] = []
    if done.event not in {ORDER, PATIENT}:
        about = [Object(uid, audit.STUDY_UID, "2", "3", contents=(held,)) for uid in studies]
    told = (held,) if not about and (mpps or accessions) else ()
    people = dict.fromkeys([*patients, *(keys.get("prior", ()) if done.event == PATIENT else ())])
    return (*about, *(Object(one, audit.PATIENT_NUMBER, "1", "1", contents=told) for one in people))


def _question(exchange: Exchange, kind: Code) -> Object:
    """Return what the patient index was asked: QPD, with the message it stood in (ITI TF-2 3.9.5.1, 3.21.5.1)."""
    message = parse(exchange.request.data)
    asked = next((line for line in message.raw.splitlines() if line.startswith(b"QPD")), b"")
    return Object(
        message["QPD-2"], kind, "2", "24", query=asked, details=(("MSH-10", message.control.encode()),)
    )


def _query(exchange: Exchange) -> Object:
    """Return the query as it was made: the identifier with its transfer syntax, or the URL (A.5.3.10)."""
    facts = exchange.facts
    if exchange.protocol == "web":
        asked = f"{facts.get('path', '')}?{facts.get('query', '')}".encode()
        detail = ("QueryEncoding", b"UTF-8")
        return Object(STUDY_FIND, audit.SOP_CLASS_UID, "2", "3", query=asked, details=(detail,))
    detail = ("TransferSyntax", str(facts.get("transfer_syntax", "")).encode())
    model = str(facts.get("model") or facts.get("sop_class") or "")
    return Object(model, audit.SOP_CLASS_UID, "2", "3", query=exchange.request.data, details=(detail,))
