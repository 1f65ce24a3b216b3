"""Ask every real system whether it is there, before any case: protocol answers, never just an open port.

``findings`` also compares what a system negotiates with what the lab file claims for it, and ``connection_sheet``
says what the people who run the real systems must enter on their side.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.errors import WireError
from stepwedge.lab import tls_told
from stepwedge.wire.tls import refusal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from stepwedge.lab.labfile import Lab
    from stepwedge.lab.schema import Real
    from stepwedge.sim.address import Address
    from stepwedge.wire.tls import Credentials

_VERIFICATION: Final = "1.2.840.10008.1.1"
_SOP_CLASSES: Final = {
    # PS3.6 table A-1; which door of an actor must accept them when the claim is made.
    "mwl": ("worklist", "1.2.840.10008.5.1.4.31"),
    "mpps": ("worklist", "1.2.840.10008.3.1.2.3.3"),
    "storage": ("dicom", "1.2.840.10008.5.1.4.1.1.2"),
    "storage-commitment": ("dicom", "1.2.840.10008.1.20.1"),
    "c-find": ("dicom", "1.2.840.10008.5.1.4.1.2.2.1"),
    "c-move": ("dicom", "1.2.840.10008.5.1.4.1.2.2.2"),
    "c-get": ("dicom", "1.2.840.10008.5.1.4.1.2.2.3"),
}
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was asked, and what is wrong with the answer: ``trouble`` now, ``warning`` soon, or nothing."""

    actor: str
    door: str
    where: str
    asked: str
    trouble: str = ""
    warning: str = ""


def trouble(
    address: Address, door: str, calling: str, *, timeout: float = 5.0, tls: Credentials | None = None
) -> str:
    """Return why a door does not answer, ``""`` when it does; ``tls`` is what we show to doors that speak TLS."""
    secure = tls_told.speaks_tls(address, door)
    if secure and tls is None:
        return "it speaks TLS, and the lab file has no tls: to say what we present and whom we trust"
    context = tls.client() if secure and tls else None
    if door in {"dicom", "worklist"}:
        return _echo(address, door, calling, timeout, context)
    if door == "hl7":
        return _connects(address, timeout, context)
    return _web(address, timeout, context)


def findings(lab: Lab, *, timeout: float = 5.0, tls: Credentials | None = None) -> Iterator[Finding]:
    """Ask every door of every real system, one at a time, in the order of the lab file."""
    asked = {"hl7": "a connection is accepted", "web": "a search is answered (QIDO-RS)"}
    for name, real in lab.real.items():
        address = real.address
        for door in ("hl7", "dicom", "worklist", "web"):
            if (place := getattr(address, door)) is None:
                continue
            said = trouble(address, door, lab.text.probe.ae_title, timeout=timeout, tls=tls)
            yield Finding(name, door, str(place), asked.get(door, "C-ECHO is answered"), said)
            if not said and tls is not None and tls_told.speaks_tls(address, door):
                yield from _secured(name, address, door, tls, timeout)
            if not said:
                yield from _claims(lab, name, real, door, timeout, tls)


def connection_sheet(lab: Lab) -> list[tuple[str, str]]:
    """Return what the people who run the real systems must enter: who on our side, and how it is known."""
    sheet = [("checks (they ask, and are never called)", f"AE title {lab.text.probe.ae_title}")]
    for name, one in lab.simulated.items():
        known = [
            f"{key.replace('_', ' ')} {value}"
            for key, value in one.settings.items()
            if isinstance(value, str | int)
        ]
        free = "" if any("port" in key for key in one.settings) else "give it fixed ports in the lab file"
        sheet.append((f"{name} ({one.role})", ", ".join(filter(None, [*known, free]))))
    return sheet


def _secured(name: str, address: Address, door: str, tls: Credentials, timeout: float) -> Iterator[Finding]:
    """Say what was negotiated, and warn of what will be trouble: nobody judges, or a certificate ends."""
    where = str(getattr(address, door))
    try:
        seen = tls_told.seen(address, door, tls, timeout)
    except WireError as error:
        yield Finding(name, door, where, "TLS", str(error))
        return
    yield Finding(
        name, door, where, str(seen), warning="" if tls.verify else "verify is off: anybody could be there"
    )
    if seen.days < tls_told.SOON_DAYS:
        yield Finding(name, door, where, "its certificate lasts", warning=f"it ends in {seen.days} days")


def _claims(
    lab: Lab, name: str, real: Real, door: str, timeout: float, tls: Credentials | None
) -> Iterator[Finding]:
    """Compare claims with the presentation contexts a system accepts (PS3.8 section 7.1.1.14)."""
    address = real.address
    doors = {"worklist": "worklist" if address.worklist else "dicom", "dicom": "dicom"}
    wanted = {
        claim: uid
        for claim, (at, uid) in _SOP_CLASSES.items()
        if claim in lab.text.sut.claims and doors[at] == door and _bound(claim, real.role)
    }
    if not wanted:
        return
    from stepwedge.wire.dimse_blocking import Association

    entity = getattr(address, door)
    try:
        with Association.open(
            entity.host,
            entity.port,
            calling=lab.text.probe.ae_title,
            called=entity.ae,
            contexts=wanted.values(),
            timeout=timeout,
            context=tls.client() if tls and entity.tls else None,
        ) as association:
            accepted = {claim for claim, uid in wanted.items() if association.accepts(uid)}
    except WireError:
        accepted = set()  # a rejected proposal accepts none of them
    for claim, uid in wanted.items():
        said = (
            ""
            if claim in accepted
            else f"SOP class {uid} is not accepted: take the claim out, or switch the service on"
        )
        yield Finding(name, door, str(entity), f"keeps its claim {claim}", said)


def _bound(claim: str, role: str) -> bool:
    from stepwedge.lab.claims import CLAIMS

    return role in CLAIMS[claim].roles


def _echo(address: Address, door: str, calling: str, timeout: float, context: ssl.SSLContext | None) -> str:
    from stepwedge.wire.dimse_blocking import Association

    entity = getattr(address, door) or address.dicom
    if entity is None:
        return f"it has no {door} address"
    try:
        with Association.open(
            entity.host,
            entity.port,
            calling=calling,
            called=entity.ae,
            contexts=[_VERIFICATION],
            timeout=timeout,
            context=context,
        ) as association:
            result = association.echo()
    except WireError as error:
        return str(error)
    return "" if result.status == 0 else f"C-ECHO answered with status {result.status:04X}"


def _connects(address: Address, timeout: float, context: ssl.SSLContext | None) -> str:
    """Try the connection alone: HL7 v2 has no question that leaves nothing behind."""
    if address.hl7 is None:
        return "it has no hl7 address"
    try:
        link = socket.create_connection((address.hl7.host, address.hl7.port), timeout)
        if context is not None:
            link = tls_told.judged(link, context, address.hl7.host)
        link.close()
    except WireError as error:
        return str(error)
    except OSError as error:
        return f"no connection to {address.hl7}: {error}"
    return ""


def _web(address: Address, timeout: float, context: ssl.SSLContext | None) -> str:
    import httpx

    if address.web is None:
        return "it has no web address"
    try:
        answer = httpx.get(
            f"{address.web}/studies",
            params={"limit": 1},
            headers={"Accept": "application/dicom+json"},
            timeout=timeout,
            follow_redirects=False,
            verify=context or True,
        )
    except httpx.HTTPError as error:
        if refused := refusal(error, address.web):
            return str(refused)
        return f"no answer from {address.web}: {error}"
    if answer.is_redirect:
        return f"it redirects to {answer.headers.get('location', 'elsewhere')}, which is not followed"
    return (
        ""
        if answer.status_code < _SERVER_ERROR and answer.status_code not in {401, 403, 404}
        else f"HTTP {answer.status_code}"
    )
