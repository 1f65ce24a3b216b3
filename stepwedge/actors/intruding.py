"""Doors tried by somebody who must not be served, between two who must be.

A question here is a whole round: a known node is served, the intruder tries, the known node is served again. Only then
does the intruder's failure mean that it was refused, and not that nobody was there.
"""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors.asking import ASK_SECONDS
from stepwedge.clock import moment
from stepwedge.errors import (
    Broken,
    Inconclusive,
    LinkLost,
    NoAnswer,
    Refused,
    RemoteProtocolError,
    Skipped,
    WireError,
)
from stepwedge.evidence.exchange import Exchange
from stepwedge.wire import tls_intruder
from stepwedge.wire.tls import TlsRefused

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from stepwedge.actors.cast import Cast

DOORS: Final = ("dicom", "worklist", "hl7", "web")
STRANGER_AE: Final = "SW_INTRUDER"
"""Also the sending application of a stranger over HL7."""
KINDS: Final = (*tls_intruder.INTRUDERS, "plain-text", "unknown-name", "stalled")
_VERIFICATION: Final = "1.2.840.10008.1.1"
_PROTOCOLS: Final[dict[str, Any]] = {"dicom": "dimse", "worklist": "dimse", "hl7": "hl7", "web": "web"}
_FORBIDDEN: Final = frozenset({401, 403})
_CALLING_UNKNOWN: Final = "1/1/3"


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of an attempt: the answer when it was served, else the trouble; with the exchange that shows it."""

    answer: str
    trouble: WireError | None
    evidence: int


@dataclass(frozen=True, slots=True)
class Caller:
    """How somebody calls: its TLS context (None in plain text), and the name it gives itself."""

    context: ssl.SSLContext | None
    name: str


def round_of(cast: Cast, actor: str, door: str, intruder: str) -> tuple[Tried, Tried]:
    """Try a door: return what the intruder got, and what a known node gets at the same door.

    Raises:
        Skipped: the door speaks plain text, so that nothing was promised.
        Inconclusive: the known node is not served before or after: nothing is known of the intruder's reason then.
    """
    security = cast.tls
    if security is None or not _secure(cast, actor, door):
        raise Skipped(
            f"the {door} door of {actor} speaks plain text in this lab: there is nobody to keep out"
        )
    known = Caller(security.client(), cast.probe)
    before = _served(cast, actor, door, known, "before the intruder")
    if intruder == "stalled":
        with _stalled(cast, actor, door):
            tried = _try(cast, actor, door, known, "beside a stalled handshake")
    else:
        tried = _try(cast, actor, door, _caller(cast, intruder), intruder)
    _served(cast, actor, door, known, "after the intruder")
    return tried, before


def served(cast: Cast, actor: str, door: str, when: str) -> Tried:
    """Ask a door one harmless question as a known node does, in TLS or in plain text.

    Raises:
        Inconclusive: the known node is not served.
    """
    secure = cast.tls if _secure(cast, actor, door) else None
    return _served(cast, actor, door, Caller(secure.client() if secure else None, cast.probe), when)


def place(cast: Cast, actor: str, door: str) -> tuple[str, int]:
    """Return host and port of a door."""
    return _place(cast, actor, door)


def fault(tried: Tried, served: Tried, intruder: str) -> str:
    """Return what is wrong with what became of an intruder; raises when nobody can tell."""
    trouble = tried.trouble
    if intruder == "stalled":
        return "" if trouble is None else f"one stalled handshake keeps others out: {trouble}"
    if isinstance(trouble, NoAnswer):
        raise Inconclusive(f"nothing came back to the intruder: {trouble}")
    if intruder == "plain-text":
        return "" if trouble else f"served: {tried.answer}"
    known = tls_intruder.INTRUDERS.get(intruder)
    return _tls_fault(tried, known.alerts) if known and known.alerts else _stranger_fault(tried, served)


def _tls_fault(tried: Tried, expected: frozenset[str]) -> str:
    """Judge what must end inside TLS: an answer of the protocol above it, even a no, comes too late."""
    match tried.trouble:
        case None:
            return f"served: {tried.answer}"
        case TlsRefused(by="peer", reason=reason):
            return "" if reason in expected else f"refused for another reason: {reason}"
        case TlsRefused() | LinkLost() | RemoteProtocolError() as trouble:
            raise Inconclusive(f"the door did not say why: {trouble}")
        case trouble:
            return f"let in by TLS, and turned away later: {trouble}"


def _stranger_fault(tried: Tried, served: Tried) -> str:
    """Judge what TLS has nothing against: the protocol above it must say no, and not say to the stranger what it says to all."""
    trouble = tried.trouble
    if trouble is None:
        refused = tried.answer.startswith(("AR", "CR")) and tried.answer != served.answer
        return "" if refused else f"served: {tried.answer}"
    if isinstance(trouble, Refused) and not isinstance(trouble, TlsRefused):
        return "" if _as_stranger(trouble) else f"refused for another reason: {trouble}"
    raise Inconclusive(f"the door did not say why: {trouble}")


def _as_stranger(trouble: Refused) -> bool:
    text = str(trouble)
    return _CALLING_UNKNOWN in text or text.startswith("HTTP 40")


def _caller(cast: Cast, intruder: str) -> Caller:
    assert cast.tls is not None  # noqa: S101 - the caller looked
    if intruder == "plain-text":
        return Caller(None, cast.probe)
    if intruder == "unknown-name":
        return Caller(cast.tls.client(), STRANGER_AE)
    return Caller(tls_intruder.context(cast.tls, tls_intruder.INTRUDERS[intruder]), cast.probe)


def _served(cast: Cast, actor: str, door: str, known: Caller, when: str) -> Tried:
    tried = _try(cast, actor, door, known, f"control {when}")
    if tried.trouble is not None:
        raise Inconclusive(f"a known node is not served {when}: {tried.trouble}") from tried.trouble
    return tried


def _try(cast: Cast, actor: str, door: str, caller: Caller, label: str) -> Tried:
    """Ask a door one harmless question, and keep what came of it as evidence."""
    began, ticks = moment(), time.monotonic()
    answer, trouble, outcome = "", None, ""
    try:
        answer = outcome = _ASK[door](cast, actor, door, caller)
    except WireError as error:
        trouble = error
        outcome = {LinkLost: "lost", NoAnswer: "timeout", RemoteProtocolError: "garbled"}.get(
            type(error), "refused"
        )
    facts = {"who": label, "door": door, "error": str(trouble or "")}
    kind = {"dimse": "C-ECHO", "hl7": "MLLP", "web": "GET /studies"}[_PROTOCOLS[door]]
    number = cast.observe(
        Exchange(
            0,
            began,
            time.monotonic() - ticks,
            "probe",
            "out",
            _PROTOCOLS[door],
            kind,
            actor,
            outcome,
            {},
            facts,
        )
    )
    return Tried(answer, trouble, number)


def _echo(cast: Cast, actor: str, door: str, caller: Caller) -> str:
    from stepwedge.wire.dimse_blocking import Association

    address = cast[actor].address
    entity = address.worklist or address.dicom if door == "worklist" else address.dicom
    if entity is None:
        raise Broken(f"{actor} has no {door} address")
    with Association.open(
        entity.host,
        entity.port,
        calling=caller.name,
        called=entity.ae,
        contexts=[_VERIFICATION],
        timeout=ASK_SECONDS * cast.patience,
        context=caller.context,
    ) as association:
        return f"C-ECHO {association.echo().status:04X}"


def _message(cast: Cast, actor: str, door: str, caller: Caller) -> str:  # noqa: ARG001 - one shape for every door
    """Send a message of an event that nobody has: whatever acknowledges it has served us."""
    from stepwedge.wire.hl7 import compose, header, parse
    from stepwedge.wire.mllp_blocking import Link

    endpoint = cast[actor].address.hl7
    if endpoint is None:
        raise Broken(f"{actor} has no hl7 address")
    now = datetime.now(UTC)
    head = header(
        "ADT^Z99", control=f"SW{time.time_ns() % 10**15}", now=now, sender=(caller.name, "STEPWEDGE")
    )
    with Link.open(endpoint.host, endpoint.port, ASK_SECONDS * cast.patience, context=caller.context) as link:
        answer = parse(link.ask(compose([head])))
    return f"{answer['MSA-1']} {answer['ERR-3.1']} {answer['ERR-8'] or answer['MSA-3']}".strip()


def _search(cast: Cast, actor: str, door: str, caller: Caller) -> str:  # noqa: ARG001 - one shape for every door
    from stepwedge.wire.dicomweb import DicomWeb

    root = cast[actor].address.web
    if root is None:
        raise Broken(f"{actor} has no web address")
    if caller.context is None:
        root = root.replace("https:", "http:", 1)
    with DicomWeb(
        root, timeout=ASK_SECONDS * cast.patience, context=caller.context, bearer=cast.bearer(root)
    ) as web:
        try:
            web.qido("studies", {"PatientID": "SW-NOBODY"}, limit=1)
        except Refused as refused:
            if (status := getattr(refused, "status", 0)) in _FORBIDDEN:
                raise Refused(f"HTTP {status}: {refused}") from refused
            raise
    return "HTTP 200"


_ASK: Final = {"dicom": _echo, "worklist": _echo, "hl7": _message, "web": _search}


@contextmanager
def _stalled(cast: Cast, actor: str, door: str) -> Iterator[None]:
    """Hold a connection open on which a handshake began and does not go on."""
    where = _place(cast, actor, door)
    with socket.create_connection(where, ASK_SECONDS * cast.patience) as link:
        link.sendall(b"\x16\x03\x01\x02\x00\x01")  # the head of a ClientHello of 512 bytes that never comes
        yield


def _secure(cast: Cast, actor: str, door: str) -> bool:
    address = cast[actor].address
    where = (address.worklist or address.dicom) if door == "worklist" else getattr(address, door)
    return where.startswith("https:") if isinstance(where, str) else bool(where and where.tls)


def _place(cast: Cast, actor: str, door: str) -> tuple[str, int]:
    from urllib.parse import urlsplit

    address = cast[actor].address
    where: Any = (address.worklist or address.dicom) if door == "worklist" else getattr(address, door)
    if isinstance(where, str):
        url = urlsplit(where)
        return url.hostname or "", url.port or 443
    return where.host, where.port
